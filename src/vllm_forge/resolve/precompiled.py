"""Every decision of a CUDA build that compiles nothing: its extensions are in the release's wheel.

What VLLM_USE_PRECOMPILED does (setup.py, `precompiled_wheel_utils`), with the wheel of the release
itself instead of one of the main branch, only extensions that these GPUs run, and each only where
it fits. No toolkit, compiler or CMake has a part in it.
"""

from typing import Any, Final

from vllm_forge.records.cuda import CudaTable
from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Driver, Python, Toolkit
from vllm_forge.records.resolution import Build, PrecompiledPart, Resolution
from vllm_forge.records.sourced import Sourced
from vllm_forge.records.wishes import Device
from vllm_forge.resolve.common import decide_common
from vllm_forge.resolve.cuda import FILE_BYTES, asked_capabilities, choose_arch, torch_before_python
from vllm_forge.resolve.cuda_facts import driver_floor, parts_of
from vllm_forge.resolve.given import Given
from vllm_forge.resolve.gpu_arch import plain
from vllm_forge.resolve.judging import decide_origins, find_filled
from vllm_forge.resolve.origins import Origins
from vllm_forge.resolve.quantization import choose_quantization
from vllm_forge.resolve.room import PRECOMPILED_BYTES, refuse_without_room
from vllm_forge.resolve.targets import plan_targets
from vllm_forge.resolve.torch_cuda import choose_torch_cuda, read_torch_cuda

NOTHING: Final = (Reason("nothing is compiled", "--strategy precompiled"),)
UNUSED: Final = ("compiler", "compiler_cache", "jobs", "system_packages")


def resolve_precompiled(given: Given, vllm: Chosen[Any], device: Chosen[Device]) -> Resolution:
    """Architectures → targets that these GPUs run → each one's extension, or why it does not fit.

    What CMake would do is asked of the toolkit that the wheel was made with.
    """
    wished_torch = torch_before_python(given)
    carried = read_torch_cuda(wished_torch, given.torches)
    common = decide_common(given, Device.CUDA, bytes_per_job=FILE_BYTES, newest_gcc=None)
    made_with = given.facts.release.main_cuda.value or carried.value
    torch_cuda = choose_torch_cuda(carried, wished_torch)
    gpu_arch, origins = _choose_origins(given, wished_torch, carried, common.python, made_with)
    quantization = (
        choose_quantization(
            given.checkpoint, given.facts.release, Device.CUDA, asked_capabilities(given)
        )
        if given.checkpoint is not None
        else None
    )
    every: tuple[Decision[Any] | None, ...] = (
        *(vllm, device, common.python, common.torch, torch_cuda, gpu_arch),
        *(None if origins is None else origins.strategy, quantization),
        refuse_without_room(given.machine, Device.CUDA, PRECOMPILED_BYTES),
        refuse_driver(given.machine.driver, made_with, given.cuda),
        choose_no_toolkit(given.wishes.cuda, made_with),
        *(Chosen(subject, None, NOTHING) for subject in UNUSED),
    )
    chosen = tuple(one for one in every if isinstance(one, Chosen))
    refused = tuple(one for one in every if isinstance(one, Refused))
    build = None
    if (
        not refused
        and isinstance(common.python, Chosen)
        and isinstance(common.torch, Chosen)
        and isinstance(gpu_arch, Chosen)
        and origins is not None
        and isinstance(origins.strategy, Chosen)
    ):
        part = PrecompiledPart(gpu_arch, torch_cuda, origins.strategy, origins.reused)
        build = Build(
            device=Device.CUDA,
            python=common.python,
            torch=common.torch,
            compiler=None,
            jobs=None,
            system_packages=Chosen("system_packages", None, NOTHING),
            part=part,
            limits=common.limits,
            compiler_cache=Chosen("compiler_cache", None, NOTHING),
            lent=common.lent,
        )
    return Resolution(chosen, refused, () if origins is None else origins.targets, (), build)


def _choose_origins(
    given: Given,
    torch: str,
    carried: Sourced[str],
    python: Decision[Python],
    made_with: str | None,
) -> tuple[Decision[tuple[str, ...]], Origins | None]:
    """The architectures, and each target's origin where they are chosen."""
    if made_with is None:
        unknown = Reason("the CUDA that the wheel was made with is unknown", carried.source)
        return Refused("gpu_arch", (unknown,)), None
    gpu_arch, configured = choose_arch(given, Toolkit(made_with, "the release's wheel"))
    if isinstance(gpu_arch, Refused) or configured is None:
        return gpu_arch, None
    targets = plan_targets(
        configured,
        given.facts.release.gates,
        [plain(arch) for arch in gpu_arch.value],
        (),
        given.wishes.targets,
        find_filled(given, configured),
    )
    origins = decide_origins(
        given, configured, targets, torch=torch, torch_cuda=carried, python=python
    )
    return gpu_arch, origins


def choose_no_toolkit(wish: str | None, made_with: str | None) -> Chosen[None]:
    """None is used; a wish for one is answered."""
    said = f"--cuda {wish}: nothing is compiled; the wheel is made with CUDA {made_with}"
    return Chosen("toolkit", None, NOTHING, () if wish is None else (said,))


def refuse_driver(driver: Driver | None, cuda: str | None, table: CudaTable) -> Refused | None:
    """A driver that runs no program of the CUDA that the wheel was made with; unknown ones pass."""
    floor = Sourced[str](None, "unknown") if cuda is None else driver_floor(cuda, table)
    if driver is None or floor.value is None or parts_of(driver.version) >= parts_of(floor.value):
        return None
    fact = f"driver {driver.version} runs no CUDA {cuda} program: it needs {floor.value} or newer"
    return Refused("driver", (Reason(fact, floor.source),), (f"install driver {floor.value}",))
