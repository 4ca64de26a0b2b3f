"""A machine from JSON: what is missing is unknown, what is absurd is refused by name."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_forge.probe import parse_machine
from vllm_forge.records.codec import render_json
from vllm_forge.records.machine import (
    Compiler,
    Cpu,
    Disk,
    Driver,
    Gpu,
    Libraries,
    Machine,
    Memory,
    OperatingSystem,
    Python,
    Reachable,
    Toolkit,
    Tools,
)
from vllm_forge.records.problem import ExitCode, Problem

versions = st.from_regex(r"\d{1,3}(\.\d{1,3}){0,3}", fullmatch=True)
capabilities = st.from_regex(r"[0-9]{1,2}\.[0-9]", fullmatch=True)
names = st.text(min_size=1, max_size=30)
sizes = st.integers(0, 1 << 60)
maybe = st.none


def several(each: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return maybe() | st.lists(each, max_size=3).map(tuple)


machines = st.builds(
    Machine,
    os=maybe() | st.builds(OperatingSystem, names, maybe() | names),
    glibc=maybe() | versions,
    cpu=st.builds(
        Cpu,
        arch=maybe() | names,
        model=maybe() | names,
        cores=maybe() | st.integers(1, 65536),
        flags=several(names),
    ),
    memory=st.builds(
        Memory, total_bytes=st.none(), limit_bytes=maybe() | sizes, available_bytes=maybe() | sizes
    ),
    disk=st.builds(Disk, free_bytes=maybe() | sizes),
    gpus=several(st.builds(Gpu, names, maybe() | capabilities, maybe() | sizes)),
    driver=maybe() | st.builds(Driver, versions, maybe() | versions),
    toolkits=several(st.builds(Toolkit, versions, names, maybe() | versions)),
    compilers=several(st.builds(Compiler, names, versions, names)),
    pythons=several(st.builds(Python, versions, names, maybe() | st.booleans())),
    tools=st.builds(Tools, uv=maybe() | names, git=maybe() | names),
    libraries=st.builds(Libraries, libnuma=maybe() | st.booleans()),
    reachable=st.builds(Reachable, maybe() | st.booleans(), maybe() | st.booleans()),
    root=maybe() | st.booleans(),
)


@given(machines)
def test_what_is_printed_is_read_back(machine: Machine) -> None:
    text = render_json(machine)
    assert parse_machine(text, "m.json") == machine
    assert parse_machine(f'{{"machine": {text}, "findings": []}}', "doctor.json") == machine


def test_the_example_of_the_contract() -> None:
    text = """
    {"schema": 1,
     "os": {"id": "ubuntu", "version": "22.04"}, "glibc": "2.35",
     "cpu": {"arch": "x86_64", "model": "x", "cores": 24, "flags": ["avx2", "avx512f"]},
     "memory": {"total_bytes": 68719476736, "limit_bytes": null, "available_bytes": 60000000000},
     "disk": {"free_bytes": 200000000000},
     "gpus": [{"name": "NVIDIA L40S", "capability": "8.9", "memory_bytes": 48305799168}],
     "driver": {"version": "550.54.15", "cuda": "12.4"},
     "toolkits": [{"version": "12.4", "path": "/usr/local/cuda-12.4"}],
     "compilers": [{"name": "g++", "version": "11.4.0", "path": "/usr/bin/g++"}],
     "pythons": [{"version": "3.12.3", "path": "/usr/bin/python3.12"}],
     "tools": {"uv": "0.13.9", "cmake": "3.31.6", "ninja": "1.13.2", "ccache": null},
     "libraries": {"libnuma": true}}"""
    machine = parse_machine(text, "example.json")
    assert machine.gpus == (Gpu("NVIDIA L40S", "8.9", 48305799168),)
    assert machine.toolkits == (Toolkit("12.4", "/usr/local/cuda-12.4"),)
    assert machine.root is None


def test_an_empty_object_is_a_machine_of_which_nothing_is_known() -> None:
    assert parse_machine("{}", "m.json") == Machine()


@pytest.mark.parametrize(
    ("machine", "path"),
    [
        ({"cpu": {"cores": 0}}, "$.cpu.cores"),
        ({"cpu": {"cores": -3}}, "$.cpu.cores"),
        ({"cpu": {"cores": 1e9}}, "$.cpu.cores"),
        ({"cpu": {"cores": "many"}}, "$.cpu.cores"),
        ({"cpu": {"cores": 2.5}}, "$.cpu.cores"),
        ({"memory": {"total_bytes": -1}}, "$.memory.total_bytes"),
        ({"memory": {"total_bytes": 1 << 70}}, "$.memory.total_bytes"),
        ({"memory": {"total_bytes": 1, "available_bytes": 2}}, "$.memory"),
        ({"gpus": [{"name": "x", "capability": "8.9"}, {"capability": "9.0"}]}, "$.gpus[1]"),
        ({"gpus": [{"name": "x", "capability": "89"}]}, "$.gpus[0].capability"),
        ({"gpus": [{"name": "", "capability": "8.9"}]}, "$.gpus[0].name"),
        ({"gpus": {"name": "x"}}, "$.gpus"),
        ({"driver": {"version": "new"}}, "$.driver.version"),
        ({"toolkits": [{"version": "12.4; rm -rf /", "path": "/x"}]}, "$.toolkits[0].version"),
        ({"pythons": [{"version": "3.12.3"}]}, "$.pythons[0]"),
        ({"schema": 2}, "$.schema"),
        ({"root": "yes"}, "$.root"),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_absurd_values_are_named(machine: dict[str, Any], path: str, *, whole: bool) -> None:
    document = {"machine": machine} if whole else machine
    with pytest.raises(Problem) as caught:
        parse_machine(json.dumps(document), "box.json")
    assert caught.value.exit_code == ExitCode.BAD_INPUT
    assert "box.json" in caught.value.message
    assert (path.replace("$", "$.machine") if whole else path) in caught.value.message


@pytest.mark.parametrize("text", ["", "[]", "3", "{", '{"status": "ok"}', '{"machine": 3}', "nul"])
def test_what_is_no_machine_at_all(text: str) -> None:
    with pytest.raises(Problem, match=r"box\.json") as caught:
        parse_machine(text, "box.json")
    assert caught.value.exit_code == ExitCode.BAD_INPUT


@given(st.binary(max_size=200))
def test_any_bytes_are_a_machine_or_a_problem(data: bytes) -> None:
    try:
        assert isinstance(parse_machine(data, "m.json"), Machine)
    except Problem as problem:
        assert problem.exit_code == ExitCode.BAD_INPUT  # noqa: PT017 -- either outcome is right
