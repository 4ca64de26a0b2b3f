"""`doctor`: what this machine is and what would stop a build."""

from dataclasses import dataclass, replace

from vllm_forge.cli.common import Common, environment, put_json, show
from vllm_forge.probe import read_machine
from vllm_forge.probe.cuda_tables import read_cuda_table
from vllm_forge.probe.system import read_offered_gcc
from vllm_forge.records.finding import Finding
from vllm_forge.records.machine import Machine
from vllm_forge.resolve.doctor import find_obstacles
from vllm_forge.run.index import read_index_settings
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command
from vllm_forge.show.doctor import render_doctor


@dataclass(frozen=True, slots=True)
class DoctorDocument:
    machine: Machine
    findings: tuple[Finding, ...]


def doctor(*, common: Common = Common(), offline: bool = False) -> None:  # noqa: B008 -- frozen
    """Say what this machine is, and what would stop a build. Needs neither torch nor vLLM.

    Parameters
    ----------
    offline
        Do not ask the package index whether it answers.
    """
    home = common.place
    environ = environment()
    settings = None if offline else read_index_settings(environ, run_command)
    machine = read_machine(
        run_command,
        home=home.path,
        read_url=None if settings is None else Network(),
        index_url=None if settings is None else settings.url,
        environ=environ,
    )
    findings = find_obstacles(machine, read_cuda_table())
    if any(finding.code == "host-compiler-unsupported" for finding in findings):
        machine = replace(machine, offered_gcc=read_offered_gcc(run_command))
        findings = find_obstacles(machine, read_cuda_table())
    if common.json:
        put_json(DoctorDocument(machine, findings))
    elif not common.quiet:
        show(render_doctor(machine, findings))
