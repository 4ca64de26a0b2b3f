import pytest

from vllm_forge.release.generated_sources import GeneratedTable, Output, choose_generated

TABLE = GeneratedTable(
    1,
    {
        "plain": (Output(("",), ("a.cu", "b.cu")),),
        "by-arch": (
            Output(("8.0", "9.0"), ("sm80.cu",)),
            Output(("8.9", "12.0"), ("sm80.cu", "sm89.cu")),
            Output(("7.5",), ("sm75.cu",)),
        ),
        "writes-nothing": (Output(("",), ()),),
    },
)


@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        ("plain", (), ("a.cu", "b.cu")),
        ("plain", ("8.9",), ("a.cu", "b.cu")),
        ("by-arch", ("8.9",), ("sm80.cu", "sm89.cu")),
        ("by-arch", ("7.5,8.0,8.9",), ("sm75.cu", "sm80.cu", "sm89.cu")),
        ("by-arch", ("8.0,99.9",), None),
        ("by-arch", (), None),
        ("writes-nothing", (), ()),
        ("never seen", (), None),
    ],
)
def test_files_of_a_script(
    script: str, arguments: tuple[str, ...], expected: tuple[str, ...] | None
) -> None:
    assert choose_generated(TABLE, script, arguments) == expected
