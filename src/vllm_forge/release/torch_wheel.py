"""A torch wheel's own statements: METADATA, torch/version.py and its CMake package."""

import re
import zipfile
from dataclasses import dataclass, replace
from email.parser import HeaderParser
from typing import IO, Final

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.range_file import RangeFile

CUDA: Final = re.compile(r"^cuda\b[^=]*=\s*['\"]([\d.]+)['\"]", re.MULTILINE)
CONFIG: Final = "torch/share/cmake/Torch/TorchConfig.cmake"
LIBRARY: Final = "torch/lib/libc10.so"
ABI: Final = re.compile(r"_GLIBCXX_USE_CXX11_ABI=([01])")


@dataclass(frozen=True, slots=True)
class TorchWheel:
    """`cuda` is `torch.version.cuda` as built; None for a CPU build.

    `cxx11_abi` is what TorchConfig.cmake hands to everything compiled against it; from 2.8 on it
    says nothing, and the std::string in libc10.so's own names decides. None without either.
    """

    requires_python: str | None
    requires: tuple[str, ...]
    cuda: str | None
    cxx11_abi: bool | None


def read_torch_wheel(wheel: IO[bytes] | RangeFile, *, origin: str) -> TorchWheel:
    """Three small members of a wheel that is open for reading, remote or not.

    Raises:
        Problem: exit 5 naming `origin`, when it is not a torch wheel.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
            config = archive.read(CONFIG).decode() if CONFIG in names else ""
            wheel_says = parse_torch_wheel(
                archive.read(metadata).decode(), archive.read("torch/version.py").decode(), config
            )
            if wheel_says.cxx11_abi is None and LIBRARY in names:
                return replace(wheel_says, cxx11_abi=parse_abi(archive.read(LIBRARY)))
            return wheel_says
    except (zipfile.BadZipFile, StopIteration, KeyError) as error:
        raise Problem(
            f"{origin} is not a torch wheel: {error}", exit_code=ExitCode.BAD_INPUT
        ) from error


def parse_abi(library: bytes) -> bool | None:
    """Both ABIs mangle `std::string` differently: `NSt7__cxx1112basic_string…` or `Ss`."""
    if b"St7__cxx1112basic_string" in library:
        return True
    return False if re.search(rb"_ZN\w*Ss\w*\0", library) else None


def parse_torch_wheel(metadata: str, version_py: str, config: str) -> TorchWheel:
    fields = HeaderParser().parsestr(metadata)
    cuda = CUDA.search(version_py)
    abi = ABI.search(config)
    return TorchWheel(
        requires_python=fields.get("Requires-Python"),
        requires=tuple(fields.get_all("Requires-Dist", [])),
        cuda=cuda[1] if cuda else None,
        cxx11_abi=abi[1] == "1" if abi else None,
    )
