"""Compilers by content, with the variables that they obey."""

from vllm_forge.run.toolchain import identify, render_obeyed

PROGRAMS = {"/usr/bin/g++": "abc", "/cuda/nvvm/bin/cicc": "def"}


def test_every_program_and_variable_counts() -> None:
    plain = identify(PROGRAMS, "")
    assert identify(dict(reversed(PROGRAMS.items())), "") == plain
    others = [
        identify({**PROGRAMS, "/cuda/nvvm/bin/cicc": "other"}, ""),
        identify({"/usr/bin/g++": "abc"}, ""),
        identify(PROGRAMS, render_obeyed({"CPATH": "/x"})),
        identify(PROGRAMS, render_obeyed({"NVCC_APPEND_FLAGS": "-G"})),
    ]
    assert len({plain, *others}) == len(others) + 1
    assert identify(PROGRAMS, render_obeyed({"HOME": "/root"})) == plain
