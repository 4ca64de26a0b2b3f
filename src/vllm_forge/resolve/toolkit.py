"""Which CUDA toolkit compiles.

Three versions meet: nvcc's, the one torch's libraries carry, and the driver's. nvcc and torch must
agree in the major version (torch/utils/cpp_extension.py, `_check_cuda_version`, raises otherwise
and only warns of a minor one). The driver must be at or above the floor of that major version; it
may be older than either, by minor-version compatibility.
"""

from vllm_forge.records.cuda import CudaTable
from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Machine, Toolkit
from vllm_forge.records.sourced import Sourced
from vllm_forge.records.toolkit import OfferedToolkit
from vllm_forge.resolve.cuda_facts import (
    archs_of_toolkit,
    driver_floor,
    driver_of_toolkit,
    minor_of,
    parts_of,
)
from vllm_forge.resolve.gpu_arch import best_for, plain

SUBJECT = "toolkit"
STUB = "lib64/stubs/libcuda.so"
NVRTC = "lib64/libnvrtc.so"
SHOWN = 4
MIB = 1 << 20
CUDA_MISMATCH = "torch/utils/cpp_extension.py, _check_cuda_version"


def choose_toolkit(
    wish: str | None,
    machine: Machine,
    torch_cuda: Sourced[str],
    architectures: tuple[str, ...],
    table: CudaTable,
    offers: tuple[OfferedToolkit, ...] = (),
) -> Decision[Toolkit]:
    """One of the machine's toolkits: wished for, of torch's major version, run by the driver.

    Where none fits, one of `offers`, which are made without root.

    `torch_cuda` is what the planned torch carries (`torch.version.cuda`); `architectures` what has
    to be compiled for (() when not known yet). Among those that fit, one that generates code for
    all of them comes first, then torch's own minor version, then the newest.
    """
    if machine.toolkits is None:
        reason = Reason("the CUDA toolkits here are unknown", "machine.toolkits")
        return Refused(SUBJECT, (reason,), ("name the machine's: --machine FILE",))
    because: list[Reason] = []
    if wish is not None:
        because.append(Reason(f"--cuda {wish}", "the command line"))
    if torch_cuda.value is not None:
        fact = f"torch carries CUDA {torch_cuda.value}: nvcc must be {_major(torch_cuda.value)}.x"
        because.append(Reason(fact, torch_cuda.source))
    objections = {
        toolkit: _objections(toolkit, wish, machine, torch_cuda, table)
        for toolkit in machine.toolkits
    }
    fit = [toolkit for toolkit, against in objections.items() if not against]
    made = {
        offer.toolkit: offer
        for offer in offers
        if not fit and not _objections(offer.toolkit, wish, machine, torch_cuda, table)
    }
    if not fit and not made:
        return _refuse(wish, objections, because, torch_cuda)
    best = max(
        fit or made,
        key=lambda toolkit: (
            _generates(toolkit, architectures, table),
            torch_cuda.value is not None
            and minor_of(toolkit.version) == minor_of(torch_cuda.value),
            parts_of(toolkit.nvcc or toolkit.version),
        ),
    )
    if best in made:
        because += [reason for against in objections.values() for reason in against]
        offer = made[best]
        size = f"{offer.download_bytes / MIB:.0f} MiB to fetch, no root"
        because.append(
            Reason(f"CUDA {best.nvcc} is made from {offer.origin} ({size})", "toolkit add")
        )
    else:
        because.append(
            Reason(f"{best.path} is CUDA {best.nvcc or best.version}", "asked by running it")
        )
    because += _about_versions(best, machine, torch_cuda, table)
    return Chosen(SUBJECT, best, tuple(because))


def _objections(
    toolkit: Toolkit,
    wish: str | None,
    machine: Machine,
    torch_cuda: Sourced[str],
    table: CudaTable,
) -> tuple[Reason, ...]:
    """Why a toolkit cannot be used; () when it can."""
    against = []
    if wish is not None and not matches(toolkit, wish):
        against.append(Reason(f"{toolkit.path} is CUDA {toolkit.version}, not {wish}", "its nvcc"))
    if torch_cuda.value is not None and _major(toolkit.version) != _major(torch_cuda.value):
        fact = f"CUDA {toolkit.version} ({toolkit.path}) is not of torch's major version"
        against.append(Reason(fact, CUDA_MISMATCH))
    if lacking := lacking_parts(toolkit, machine):
        fact = f"CUDA {toolkit.version} ({toolkit.path}) is not whole: it lacks {lacking}"
        against.append(Reason(fact, "looked for in its folder"))
    floor = driver_floor(toolkit.version, table)
    driver = machine.driver
    if driver and floor.value and parts_of(driver.version) < parts_of(floor.value):
        fact = (
            f"driver {driver.version} runs no CUDA {_major(toolkit.version)} program "
            f"(it needs {floor.value} or newer)"
        )
        against.append(Reason(fact, floor.source))
    return tuple(against)


def lacking_parts(toolkit: Toolkit, machine: Machine) -> str:
    """What keeps a toolkit from building vLLM, a few by name; empty where nothing is known to.

    A driver brings the library that the stub stands for; nvrtc is linked from torch 2.14 on only.

    >>> kit = Toolkit("13.0", "/c", "13.0.88", ("include/curand.h", STUB, NVRTC))
    >>> lacking_parts(kit, Machine()), lacking_parts(Toolkit("13.0", "/c"), Machine())
    ('include/curand.h, lib64/stubs/libcuda.so', '')
    """
    spared = {NVRTC, *({STUB} if machine.driver is not None else ())}
    lacks = [part for part in toolkit.lacks or () if part not in spared]
    more = f" and {len(lacks) - SHOWN} more" if len(lacks) > SHOWN else ""
    return ", ".join(lacks[:SHOWN]) + more


def matches(toolkit: Toolkit, wish: str) -> bool:
    """`12`, `12.4` and `12.4.131` name a toolkit, as far as they go.

    >>> kit = Toolkit("12.4", "/usr/local/cuda-12.4", "12.4.131")
    >>> [matches(kit, wish) for wish in ("12", "12.4", "12.4.131", "12.4.99", "12.40")]
    [True, True, True, False, False]
    """
    wished = parts_of(wish)
    return parts_of(toolkit.nvcc or toolkit.version)[: len(wished)] == wished


def _generates(toolkit: Toolkit, architectures: tuple[str, ...], table: CudaTable) -> bool:
    known = archs_of_toolkit(toolkit.version, table).value
    if known is None:
        return True
    return all(each in known or best_for(plain(each), known) for each in architectures)


def _about_versions(
    toolkit: Toolkit, machine: Machine, torch_cuda: Sourced[str], table: CudaTable
) -> list[Reason]:
    """What of the three versions differs, and why it works."""
    because = []
    carried = torch_cuda.value
    if carried is not None and minor_of(carried) != minor_of(toolkit.version):
        fact = (
            f"torch's runtime is CUDA {carried}, nvcc is {toolkit.version}: same major version, "
            "minor-version compatible"
        )
        because.append(Reason(fact, CUDA_MISMATCH))
    newest = max((toolkit.version, carried or toolkit.version), key=parts_of)
    own = driver_of_toolkit(newest, table).value
    floor = driver_floor(newest, table)
    driver = machine.driver
    if driver is None:
        because.append(Reason("no driver here to check against", "nvidia-smi, /proc/driver/nvidia"))
    elif own is None or parts_of(driver.version) >= parts_of(own):
        because.append(Reason(f"driver {driver.version} runs CUDA {newest}", floor.source))
    else:
        fact = (
            f"driver {driver.version} is older than CUDA {newest}'s own ({own}) and above the "
            f"floor {floor.value}: machine code runs, PTX does not"
        )
        because.append(Reason(fact, floor.source))
    return because


def _refuse(
    wish: str | None,
    objections: dict[Toolkit, tuple[Reason, ...]],
    because: list[Reason],
    torch_cuda: Sourced[str],
) -> Refused:
    if not objections:
        because.append(
            Reason("no CUDA toolkit here", "CUDA_HOME, CUDA_PATH, PATH, /usr/local/cuda*")
        )
    because += [reason for against in objections.values() for reason in against]
    ways_out = []
    # A toolkit that only the wish speaks against would be taken without it.
    for toolkit, against in objections.items():
        if wish is not None and len(against) == 1 and not matches(toolkit, wish):
            ways_out.append(f"--cuda {toolkit.version}")
    ways_out += [
        f"vllm-forge toolkit add {toolkit.version}"
        for toolkit, against in objections.items()
        if len(against) == 1 and toolkit.lacks and (wish is None or matches(toolkit, wish))
    ]
    if not ways_out and torch_cuda.value is not None:
        ways_out.append(f"install CUDA {torch_cuda.value} and set CUDA_HOME to its folder")
    return Refused(SUBJECT, tuple(dict.fromkeys(because)), tuple(ways_out))


def _major(version: str) -> int:
    return parts_of(version)[0]
