from itertools import chain

from vllm_forge.diagnose.blocks import Block, Kind, cut_blocks
from vllm_forge.diagnose.explain import explain
from vllm_forge.diagnose.sample import sample_lines
from vllm_forge.diagnose.text import read_line


def cut(log: str) -> list[Block]:
    lines = chain.from_iterable(read_line(line) for line in sample_lines(log.splitlines()))
    return [block for block in cut_blocks(lines) if block.kind not in {Kind.PLAIN, Kind.LOGGED}]


def test_a_traceback_ends_with_the_message_of_its_exception() -> None:
    (block,) = cut(
        "Traceback (most recent call last):\n"
        '  File "a.py", line 3, in f\n'
        "    raise RuntimeError(MESSAGE)\n"
        "RuntimeError: \n"
        "The detected CUDA version (13.0) mismatches the version that was used to compile\n"
        "PyTorch (12.4). Please make sure to use the same CUDA versions.\n"
        "\n"
        "exit status 1\n"
    )
    assert block.kind is Kind.EXCEPTION
    assert block.lines[block.headline].text == "RuntimeError:"
    assert block.lines[-1].text.startswith("PyTorch (12.4)")


def test_chained_tracebacks_are_two_blocks_in_their_order() -> None:
    blocks = cut(
        "Traceback (most recent call last):\n"
        '  File "a.py", line 3, in f\n'
        "KeyError: 'x'\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        "Traceback (most recent call last):\n"
        '  File "b.py", line 4, in g\n'
        "ValueError: y\n"
    )
    heads = [block.lines[block.headline].text for block in blocks]
    assert heads == ["KeyError: 'x'", "ValueError: y"]


def test_workers_that_write_into_one_log_are_told_apart() -> None:
    log = []
    for frame, code in (("a", "one"), ("b", "two")):
        for worker in (0, 1):
            log += [
                f'(Worker pid={worker}) ERROR 01-01 00:00:00 [m.py:1]   File "{frame}.py", line 1',
                f"(Worker pid={worker}) ERROR 01-01 00:00:00 [m.py:1]     {code}()",
            ]
    log += [
        "(Worker pid=0) ERROR 01-01 00:00:00 [m.py:1] ValueError: first",
        "(Worker pid=1) ERROR 01-01 00:00:00 [m.py:1] KeyError: 'second'",
    ]
    blocks = cut("\n".join(log))
    assert [len(block.lines) for block in blocks] == [5, 5]
    assert {block.lines[-1].text for block in blocks} == {"ValueError: first", "KeyError: 'second'"}


def test_what_a_failed_ninja_edge_said_belongs_to_it() -> None:
    blocks = cut(
        "[1/9] Building CUDA object a.cu.o\n"
        "FAILED: [code=1] a.cu.o\n"
        "nvcc -c a.cu -o a.cu.o\n"
        'a.cu(12): error: namespace "at" has no member "x"\n'
        "\n"
        "1 error detected in the compilation of a.cu.\n"
        "[2/9] Building CUDA object b.cu.o\n"
    )
    assert [(block.kind, block.within) for block in blocks] == [
        (Kind.NINJA, ""),
        (Kind.COMPILER, "FAILED: [code=1] a.cu.o"),
    ]
    assert blocks[0].lines[-1].text.startswith("1 error detected")


def test_a_cmake_error_holds_its_wrapped_message() -> None:
    (block,) = cut(
        "-- Found Python\n"
        "CMake Error at cmake/utils.cmake:22 (message):\n"
        "  Python version (3.13) is not one of the supported versions:\n"
        "  3.9;3.10;3.11;3.12.\n"
        "Call Stack (most recent call first):\n"
        "  CMakeLists.txt:50 (find_python_from_executable)\n"
        "\n\n-- Configuring incomplete, errors occurred!\n"
    )
    assert block.kind is Kind.CMAKE
    assert "3.9;3.10;3.11;3.12." in block.text


def test_an_ignored_exception_and_a_logged_warning_are_no_failure() -> None:
    log = (
        "Exception ignored in: <function Engine.__del__ at 0x7f>\n"
        "Traceback (most recent call last):\n"
        '  File "a.py", line 3, in __del__\n'
        "RuntimeError: CUDA error: no kernel image is available for execution on the device\n"
        "WARNING 01-01 00:00:00 [a.py:3] ImportError: undefined symbol: _ZN3c105ErrorC2E\n"
    )
    assert explain(log.splitlines()) == ()


def test_errors_before_work_that_was_then_done_are_no_failure() -> None:
    failed = "x.c:1:10: fatal error: Python.h: No such file or directory\ncompilation terminated.\n"
    assert explain(f"{failed}Successfully installed x-1.0\n".splitlines()) == ()
    assert explain(failed.splitlines())[0].code == "python-headers-missing"
    assert explain(f"{failed}ninja: build stopped: x\nSuccessfully installed pip-26\n".splitlines())


def test_the_first_failure_is_reported_not_the_last() -> None:
    (finding,) = explain(
        (
            "Traceback (most recent call last):\n"
            '  File "a.py", line 3, in f\n'
            "FooError: the first\n"
            "RuntimeError: Engine core initialization failed. See root cause above.\n"
            "BarError: the last\n"
        ).splitlines()
    )
    assert finding.code == "unknown-failure"
    assert finding.evidence[0] == "FooError: the first"
