"""The whole machine: every question asked at once, none of them needed for another's answer."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vllm_forge.probe.answers import Answers, keep_answers, read_answers
from vllm_forge.probe.compiler import read_compilers
from vllm_forge.probe.cpu import read_cpu
from vllm_forge.probe.cuda_tables import read_gpu_table
from vllm_forge.probe.disk import read_disk
from vllm_forge.probe.driver import read_driver
from vllm_forge.probe.gpu import read_gpus
from vllm_forge.probe.memory import read_memory
from vllm_forge.probe.programs import parse_path, read_programs
from vllm_forge.probe.python import read_pythons
from vllm_forge.probe.reach import read_reachable
from vllm_forge.probe.system import read_glibc, read_libraries, read_os, read_root
from vllm_forge.probe.toolkit import read_toolkits
from vllm_forge.probe.tools import read_tools
from vllm_forge.records.doors import ReadUrl, RunCommand
from vllm_forge.records.machine import Machine
from vllm_forge.resolve.cuda_facts import capability_of


def read_machine(
    run: RunCommand,
    *,
    home: Path,
    read_url: ReadUrl | None = None,
    index_url: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Machine:
    """What this machine is. A thing that is not here is an empty answer, never an error.

    `home` is where the forge keeps its things: its disk is measured, and answers of programs are
    kept there if it exists. The network is asked only with both `read_url` and `index_url`.
    `environ` (default: this process's) supplies PATH, CUDA_HOME and the like, and is what programs
    are run with.
    """
    environ = os.environ if environ is None else environ
    kept = read_answers(home)
    answers = Answers(run, environ=environ, kept=kept)
    programs = read_programs(parse_path(environ.get("PATH", os.defpath)))
    gpu_table = read_gpu_table()

    def capability(name: str) -> str | None:
        return capability_of(name, gpu_table).value

    with ThreadPoolExecutor() as pool:
        reachable = pool.submit(read_reachable, read_url, index_url)
        gpus = pool.submit(read_gpus, programs, answers, capability)
        driver = pool.submit(read_driver, programs, answers)
        toolkits = pool.submit(read_toolkits, programs, answers, environ, home)
        compilers = pool.submit(read_compilers, programs, answers, environ)
        pythons = pool.submit(read_pythons, programs, answers, environ)
        tools = pool.submit(read_tools, programs, answers)
        machine = Machine(
            os=read_os(),
            glibc=read_glibc(),
            cpu=read_cpu(),
            memory=read_memory(),
            disk=read_disk(home),
            gpus=gpus.result(),
            driver=driver.result(),
            toolkits=toolkits.result(),
            compilers=compilers.result(),
            pythons=pythons.result(),
            tools=tools.result(),
            libraries=read_libraries(environ),
            reachable=reachable.result(),
            root=read_root(),
        )
    if answers.used != kept:
        keep_answers(home, answers.used)
    return machine
