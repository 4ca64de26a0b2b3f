import pytest

from vllm_forge.diagnose.sample import RawLine
from vllm_forge.diagnose.text import Line, read_line


def read(line: str) -> Line:
    (only,) = read_line(RawLine(1, line.encode()))
    return only


@pytest.mark.parametrize(
    "line",
    [
        "RuntimeError: x",
        "\x1b[31mRuntimeError: x\x1b[0m",
        "#12 34.56 RuntimeError: x",
        "10.14 RuntimeError: x",
        "> RuntimeError: x",
        "      RuntimeError: x",
        "  │ RuntimeError: x",
        "vllm-1  | RuntimeError: x",
        "2025-03-05T09:56:09.1234567Z RuntimeError: x",
        "[2025-03-05 09:56:09,123] RuntimeError: x",
        "12:32:13 RuntimeError: x",
        "Aug 19 18:34:27 host vllm[8727]: RuntimeError: x",
        "2025-03-05T09:56:09.123456789Z stderr F RuntimeError: x",
        "##[error]RuntimeError: x",
        "[rank0]: RuntimeError: x",
        "[rank0]:[E305 09:56:09.123 a.cpp:12] RuntimeError: x",
        "(RayWorkerWrapper pid=206994, ip=192.168.10.25) RuntimeError: x",
        "(EngineCore_DP0 pid=1) (Worker_TP0 pid=2) ERROR 11-12 16:25:35 [a.py:7] RuntimeError: x",
        "(EngineCore_DP0 pid=1) ERROR 03-05 09:56:09 [core.py:1100] RuntimeError: x",
        "ERROR [core.py:1330] RuntimeError: x",
        "WARNING 06-13 11:42:20 _custom_ops.py:11] RuntimeError: x",
        (
            "INFO 2025-03-30T23:51:21.299840450Z [1;36m(VllmWorkerProcess pid=630)[0;0m ERROR"
            " 03-30 23:51:21 multiproc_worker_utils.py:243] RuntimeError: x"
        ),
        '{"log":"RuntimeError: x\\n","stream":"stderr","time":"2025-03-05T09:56:09Z"}',
    ],
)
def test_what_stands_before_the_message_is_taken_off(line: str) -> None:
    assert read(line).text == "RuntimeError: x"


def test_process_level_and_indentation_are_kept() -> None:
    line = read('(Worker_TP1 pid=31) ERROR 11-12 16:25:35 [a.py:7]     File "x.py", line 3')
    assert (line.process, line.level, line.indent) == ("(Worker_TP1 pid=31)", "ERROR", 4)
    assert line.text == 'File "x.py", line 3'


def test_the_raw_line_stays_searchable() -> None:
    assert read("\x1b[1m#7 1.20   error: x\x1b[0m").raw == "#7 1.20   error: x"


def test_a_progress_bar_is_several_lines() -> None:
    lines = list(read_line(RawLine(4, b"10%\r20%\rerror: disk quota\r")))
    assert [line.text for line in lines] == ["10%", "20%", "error: disk quota"]


@pytest.mark.parametrize("line", ["3.14", "error: 12.8 is too old", "nvcc 12.8 found", "1.0.0"])
def test_numbers_that_are_no_prefix_stay(line: str) -> None:
    assert read(line).text == line
