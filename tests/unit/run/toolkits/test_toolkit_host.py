"""The host compiler is one that this nvcc takes; else the package to install is named."""

from vllm_forge.records.machine import Compiler
from vllm_forge.run.toolkits.proof import choose_host

GCC_12 = Compiler("g++", "12.2.0", "/usr/bin/g++")
GCC_14 = Compiler("g++", "14.2.0", "/usr/bin/g++")
GCC_13 = Compiler("g++-13", "13.3.0", "/usr/bin/g++-13")


def test_the_plain_one_is_taken_where_it_fits() -> None:
    assert choose_host("12.4.131", (GCC_13, GCC_12)) == GCC_12


def test_an_older_one_beside_a_too_new_one_is_taken() -> None:
    assert choose_host("12.4.131", (GCC_14, GCC_13)) == GCC_13


def test_too_new_names_the_package() -> None:
    assert choose_host("12.4.131", (GCC_14,)) == (
        "/usr/bin/g++ is 14.2.0, nvcc 12.4.131 takes g++ up to 13: apt-get install g++-13"
    )


def test_only_a_package_that_the_distribution_has_is_named() -> None:
    assert choose_host("12.4.131", (GCC_14,), (12, 13, 14)) == (
        "/usr/bin/g++ is 14.2.0, nvcc 12.4.131 takes g++ up to 13: apt-get install g++-13"
    )
    assert choose_host("13.0.88", (), (11, 12)) == (
        "no g++ is here, nvcc 13.0.88 takes g++ up to 15: apt-get install g++-12"
    )
    assert choose_host("12.4.131", (GCC_14,), (14, 15)) == (
        "/usr/bin/g++ is 14.2.0, nvcc 12.4.131 takes g++ up to 13: this distribution has none of "
        "them"
    )


def test_none_at_all() -> None:
    said = choose_host("12.4.131", ())
    assert said == "no g++ is here, nvcc 12.4.131 takes g++ up to 13: apt-get install g++-13"
