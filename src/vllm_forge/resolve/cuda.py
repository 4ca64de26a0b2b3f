"""Every decision of a CUDA build."""

from dataclasses import replace
from typing import Any

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Toolkit
from vllm_forge.records.plan import PlannedTarget
from vllm_forge.records.release import Configured
from vllm_forge.records.resolution import CudaPart, PlannedProjects, Resolution
from vllm_forge.records.sourced import Sourced
from vllm_forge.records.specialization import Specialization
from vllm_forge.records.wishes import Device, Strategy
from vllm_forge.resolve.common import decide_common, split
from vllm_forge.resolve.cuda_facts import host_compiler_limit
from vllm_forge.resolve.device import choose_device
from vllm_forge.resolve.foreseen import foresee_files
from vllm_forge.resolve.given import Given
from vllm_forge.resolve.gpu_arch import choose_gpu_arch, parse_gpu_arch, plain, tree_archs
from vllm_forge.resolve.judging import decide_origins
from vllm_forge.resolve.lent import lent_cuda
from vllm_forge.resolve.mends import Mend, choose_mends, note_on_mend
from vllm_forge.resolve.notes import notes_on_stock
from vllm_forge.resolve.nvcc_threads import choose_nvcc_threads
from vllm_forge.resolve.origins import Origins
from vllm_forge.resolve.preflight import judge_torch
from vllm_forge.resolve.projects import choose_projects
from vllm_forge.resolve.quantization import choose_quantization
from vllm_forge.resolve.specialize import choose_specialization, specialize_targets
from vllm_forge.resolve.targets import plan_targets
from vllm_forge.resolve.toolkit import choose_toolkit, lacking_parts, matches
from vllm_forge.resolve.torch import choose_torch, exact_version, target_of
from vllm_forge.resolve.torch_cuda import choose_torch_cuda, read_torch_cuda

FILE_BYTES = 3_000_000_000
"""Peak of one nvcc for one architecture over most files of `_C` and `_moe_C` (2.4 to 2.8 GB); the
heaviest, scaled_mm_c2x.cu, takes 7.5 GB (docs/measurements.md)."""

HEAVIEST_FILE_BYTES = 7_500_000_000


def resolve_cuda(given: Given, vllm: Chosen[Any], device: Chosen[Device]) -> Resolution:
    """Toolkit → architectures → what CMake would do → targets → whether torch has every name."""
    wished_torch = torch_before_python(given)
    carried = _carried_cuda(given, wished_torch)
    toolkit = choose_toolkit(
        given.wishes.cuda, given.machine, carried, _asked_archs(given), given.cuda, given.offers
    )
    limit = (
        host_compiler_limit(toolkit.value.version, given.cuda)
        if isinstance(toolkit, Chosen)
        else None
    )
    common = decide_common(
        given,
        Device.CUDA,
        bytes_per_job=FILE_BYTES,
        newest_gcc=None if limit is None or limit.value is None else str(limit.value.gcc),
    )
    torch = common.torch
    torch_cuda = choose_torch_cuda(carried, wished_torch)
    gpu_arch: Decision[tuple[str, ...]] | None = None
    projects: Decision[PlannedProjects] | None = None
    specialization: Decision[Specialization] | None = None
    threads: Chosen[int] | None = None
    origins: Origins | None = None
    mends: tuple[Mend, ...] = ()
    if isinstance(toolkit, Chosen):
        gpu_arch, configured = choose_arch(given, toolkit.value)
        if isinstance(gpu_arch, Chosen) and configured is not None:
            mends = choose_mends(configured.groups, gpu_arch.value)
            targets = plan_targets(
                configured,
                given.facts.release.gates,
                [plain(arch) for arch in gpu_arch.value],
                [project.revision for project in given.facts.release.projects],
                given.wishes.targets,
            )
            origins = decide_origins(
                given,
                configured,
                targets,
                torch=wished_torch,
                torch_cuda=carried,
                python=common.python,
            )
            projects = choose_projects(given, configured, origins.targets, origins.unfit)
            compiled = tuple(one for one in origins.targets if one.origin == "compile")
            specialization = choose_specialization(
                given, toolkit.value.nvcc or toolkit.value.version, gpu_arch.value, compiled
            )
            if isinstance(specialization, Chosen):
                special = specialization.value
                origins = replace(origins, targets=specialize_targets(origins.targets, special))
            threads = _choose_threads(given, compiled, gpu_arch.value)
            if isinstance(torch, Chosen):
                built = {one.name for one in compiled}
                torch = judge_torch(torch, Device.CUDA, given.facts, configured, built)
    quantization: Decision[str | None] | None = None
    if given.checkpoint is not None:
        quantization = choose_quantization(
            given.checkpoint, given.facts.release, Device.CUDA, asked_capabilities(given)
        )
    chosen, refused = split(
        *(vllm, device, common, torch, torch_cuda, toolkit, gpu_arch),
        *(None if origins is None else origins.strategy, projects),
        *(threads, quantization, specialization, _refuse_memory(given)),
    )
    build = None
    if (
        not refused
        and isinstance(torch, Chosen)
        and isinstance(toolkit, Chosen)
        and isinstance(gpu_arch, Chosen)
        and isinstance(projects, Chosen)
        and threads is not None
        and origins is not None
        and isinstance(origins.strategy, Chosen)
    ):
        offer = next((one for one in given.offers if one.toolkit == toolkit.value), None)
        part = CudaPart(
            *(toolkit, gpu_arch, torch_cuda, origins.strategy, projects, threads),
            reused=origins.reused,
            offer=offer,
            instead=tuple((mend.wrong, mend.right) for mend in mends),
        )
        build = common.build(Device.CUDA, torch, part)
        if build is not None and isinstance(specialization, Chosen):
            build = replace(build, specialization=specialization)
    notes = notes_on_stock(given.facts.release, wished_torch, toolkit)
    if isinstance(gpu_arch, Chosen):
        notes += tuple(note_on_mend(mend, gpu_arch.value) for mend in mends)
    return Resolution(chosen, refused, () if origins is None else origins.targets, notes, build)


def missing_toolkits(given: Given) -> tuple[tuple[str, ...], ...]:
    """Toolkits this build would need and that are not here, each as versions to ask for in turn.

    Empty where one of the machine's fits, or nothing is built for CUDA. Where the release is still
    to be chosen, every major version that any torch carries may be needed.
    """
    device = choose_device(given.wishes, given.machine)
    if isinstance(device, Refused) or device.value is not Device.CUDA:
        return ()
    if given.wishes.strategy is Strategy.PRECOMPILED:
        return ()
    if given.wishes.cuda is not None:
        asked = {given.wishes.cuda: (given.wishes.cuda,)}
    elif given.wishes.vllm is None and given.checkpoint is not None:
        asked = {torch.cuda.split(".")[0]: (torch.cuda,) for torch in given.torches if torch.cuda}
    else:
        carried = _carried_cuda(given, torch_before_python(given)).value
        asked = {carried: (carried,)} if carried else {}
    toolkits = given.machine.toolkits or ()
    here = [toolkit for toolkit in toolkits if not lacking_parts(toolkit, given.machine)]
    return tuple(
        tuple(dict.fromkeys((*versions, versions[0].split(".")[0])))
        if given.wishes.cuda is None
        else versions
        for versions in asked.values()
        if not any(
            matches(toolkit, given.wishes.cuda or versions[0].split(".")[0]) for toolkit in here
        )
    )


def _carried_cuda(given: Given, torch: str) -> Sourced[str]:
    if given.lent is not None:
        return lent_cuda(given.lent)
    return read_torch_cuda(torch, given.torches)


def torch_before_python(given: Given) -> str:
    """The torch that will be chosen; markers of a CUDA pin do not depend on the Python found."""
    if given.lent is not None:
        return given.lent.public_torch
    if given.wishes.torch is not None:
        return given.wishes.torch
    for pin in given.facts.release.torch:
        if pin.role == "cuda" and exact_version(pin) and pin.marker is None:
            return str(exact_version(pin))
    for python in given.machine.pythons or ():
        choice = choose_torch(
            given.wishes, Device.CUDA, target_of(given.machine, python), given.facts.release
        )
        if isinstance(choice, Chosen):
            return choice.value
    return "unknown"


def asked_capabilities(given: Given) -> tuple[str, ...]:
    """The capabilities of the GPUs that will run it, as far as they are known before choosing."""
    return tuple(plain(arch) for arch in _asked_archs(given))


def _asked_archs(given: Given) -> tuple[str, ...]:
    wished = parse_gpu_arch(given.wishes.gpu_arch)
    if wished is not None:
        return wished
    return tuple(gpu.capability for gpu in given.machine.gpus or () if gpu.capability is not None)


def choose_arch(
    given: Given, toolkit: Toolkit
) -> tuple[Decision[tuple[str, ...]], Configured | None]:
    """The architectures, and what configure would do with them (or with what was asked)."""
    nvcc = toolkit.nvcc or toolkit.version
    version = given.facts.release.version.value or "unknown"
    asked = given.facts.configured("cuda", nvcc=nvcc, architectures=_asked_archs(given) or ("8.0",))
    if asked is None:
        reason = Reason(f"what vLLM {version} compiles is unknown", "CMakeLists.txt")
        return Refused("gpu_arch", (reason,)), None
    decision = choose_gpu_arch(
        given.wishes.gpu_arch,
        given.machine,
        toolkit.nvcc or toolkit.version,
        tree_archs(version, asked),
        given.cuda,
    )
    if isinstance(decision, Refused):
        return decision, asked
    return decision, given.facts.configured("cuda", nvcc=nvcc, architectures=decision.value)


def _choose_threads(
    given: Given, targets: tuple[PlannedTarget, ...], architectures: tuple[str, ...]
) -> Chosen[int]:
    """By what the machine has, not by what is free now: the answer has to stay the same."""
    machine = given.machine
    sizes = (machine.memory.total_bytes, machine.memory.limit_bytes)
    return choose_nvcc_threads(
        foresee_files(targets, given.costs, architectures),
        architectures=len(architectures),
        cores=machine.cpu.cores or 1,
        memory_bytes=min((size for size in sizes if size is not None), default=None),
        jobs=given.wishes.jobs,
    )


def _refuse_memory(given: Given) -> Refused | None:
    """One file that cannot fit at all is said before it starts."""
    memory = given.machine.memory
    sizes = [size for size in (memory.total_bytes, memory.limit_bytes) if size is not None]
    if not sizes or min(sizes) >= HEAVIEST_FILE_BYTES:
        return None
    have, need = min(sizes) / 1e9, HEAVIEST_FILE_BYTES / 1e9
    return Refused(
        "memory",
        (
            Reason(f"this machine, or its cgroup, has {have:.1f} GB", "machine.memory"),
            Reason(f"scaled_mm_c2x.cu alone takes {need:.1f} GB", "docs/measurements.md"),
        ),
        ("build on a machine with more memory and install the wheel: build --wheel DIR",),
    )
