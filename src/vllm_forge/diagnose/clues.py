"""What else a log tells about the machine and the environment it was written on."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

PATTERNS = {
    "nvcc": re.compile(
        r"Cuda compilation tools, release (\d+\.\d+)"
        r"|The CUDA compiler identification is NVIDIA (\d+\.\d+)"
        r"|Found CUDA: .* \(found version \"(\d+\.\d+)"
        r"|Caffe2: CUDA detected: (\d+\.\d+)"
    ),
    "torch": re.compile(
        r"(?:^|\s)torch==(\d+\.\d+\.\d+\S*)$|PyTorch version *: (\d+\.\d+\.\S+)"
        r"|^torch +(\d+\.\d+\.\d+\S*)|saw (\d+\.\d+\.\d+\S*) instead"
    ),
    "torch_cuda": re.compile(r"CUDA used to build PyTorch *: (\d+\.\d+)"),
    "gcc": re.compile(
        r"The CXX compiler identification is GNU (\d+\.\d+(?:\.\d+)?)"
        r"|GCC version *: \([^)]*\) (\d+\.\d+(?:\.\d+)?)"
    ),
    "cmake": re.compile(r"CMake version *: version (\d+\.\d+)|/cmake-(\d+\.\d+)/Modules/"),
    "python": re.compile(
        r"Python version *: (\d+\.\d+)|[/-]python(\d\.\d+)(?:/|\b)|cpython-(\d)(\d+)-"
    ),
    "vllm": re.compile(
        r"vLLM (?:API server )?[Vv]ersion *:? (\d+\.\d+\.\d+\S*)|LLM engine \(v(\d+\.\d+\.\d+\S*)\)"
        r"|vllm==(\d+\.\d+\.\d+\S*)"
    ),
    "jobs": re.compile(
        r"MAX_JOBS=(\d+)|'cmake', '--build', .*'-j=?(\d+)'|ninja(?:', '-v')?,? '?-j'?,? ?'?(\d+)"
    ),
    "capability": re.compile(r"[Cc]urrent capability: (\d+)|compute capability (\d+\.\d)"),
    "cuda_home": re.compile(r"(?<![\w/.])(/\S*cuda[\w.-]*)/bin/nvcc\b"),
}
WORDS = (
    "torch",
    "CUDA",
    "uda ",
    "GNU",
    "GCC",
    "ython",
    "vllm",
    "LLM",
    "make",
    "-j",
    "JOBS",
    "apab",
)


@dataclass(frozen=True, slots=True)
class Clues:
    """`versions` maps each name of `PATTERNS` to the first value printed, None where silent.

    `isolated`: a build front end made its own environment, so the torch that was compiled against
    is not the one that is installed.
    """

    versions: Mapping[str, str | None] = field(default_factory=dict)
    compiling: bool = False
    conda: bool = False
    isolated: bool = False

    def get(self, name: str) -> str | None:
        return self.versions.get(name)


COMPILING = re.compile(
    r"/nvcc\b|\bg\+\+ |cc1plus|cicc|\.cu\.o|ninja|build_ext|Building (?:CUDA|CXX)"
)


def read_clues(texts: Iterable[str]) -> Clues:
    found: dict[str, str] = {}
    compiling = conda = isolated = False
    for text in texts:
        compiling = compiling or bool(COMPILING.search(text))
        conda = conda or "conda" in text
        isolated = isolated or "pip-build-env-" in text or "/builds-v0/" in text
        if len(found) == len(PATTERNS) or not any(word in text for word in WORDS):
            continue
        for name, pattern in PATTERNS.items():
            if name not in found and (match := pattern.search(text)):
                found[name] = ".".join(group for group in match.groups() if group)
    versions = {name: found.get(name) for name in PATTERNS}
    return Clues(versions, compiling=compiling, conda=conda, isolated=isolated)
