"""CUDA's libraries: those of the toolkit and torch's wheels, and the driver's libcuda."""

import re

from vllm_forge.diagnose.advice import newest_toolkit
from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Names, Scene, Signature, acts, kinds, pattern
from vllm_forge.diagnose.signatures.loading import EXTENSION_GONE, LOADED
from vllm_forge.diagnose.symbols import Owner, read_symbol

CUDA_LIBRARY = (
    r"(?P<library>lib(?:cudart|cublas(?:Lt)?|cudnn\w*|cufft\w*|curand|cusolver\w*|cusparse(?:Lt)?"
    r"|nvrtc[\w-]*"
    r"|nvJitLink|nvToolsExt|cupti|nccl|cufile|nvshmem\w*|cudss)(?:-[0-9a-f]+)?"
    r"(?:\.[0-9a-f]{8})?\.so(?:\.(?P<version>\d+))?"
    r"[\w.\[\]*-]*)"
)


FIRST_WITHOUT_SUFFIX = 13
"""From CUDA 13 on the wheels are called nvidia-cuda-runtime, without -cu12."""


SAME_AS_CUDA = ("libcudart", "libcublas", "libnvrtc", "libnvJitLink", "libcupti", "libcusparse.")
"""Libraries whose soname carries CUDA's own major version, from 12 on."""


WHEELS = {
    "libcudart": "cuda-runtime",
    "libcublas": "cublas",
    "libcudnn": "cudnn",
    "libcufft": "cufft",
    "libcurand": "curand",
    "libcusolver": "cusolver",
    "libcusparseLt": "cusparselt",
    "libcusparse": "cusparse",
    "libnvrtc": "cuda-nvrtc",
    "libnvJitLink": "nvjitlink",
    "libnvToolsExt": "nvtx",
    "libcupti": "cuda-cupti",
    "libnccl": "nccl",
    "libcufile": "cufile",
    "libnvshmem": "nvshmem",
}


def cuda_major(names: Names) -> str | None:
    """The CUDA a library belongs to, where its name tells."""
    library, version = names["library"], names["version"]
    if library.startswith("libcudart.so.1"):
        return library[len("libcudart.so.") :].split(".")[0]
    return version if version and library.startswith(SAME_AS_CUDA) else None


def library_cause(names: Names, scene: Scene) -> str:
    major = cuda_major(names)
    of_cuda = f" of CUDA {major}" if major else ""
    torch = scene.clues.get("torch_cuda")
    other = f"; torch here is built with CUDA {torch}" if torch else ""
    return (
        f"{names['library']}{of_cuda} is wanted and not on the loader's path: what wants it was"
        f" built"
        f" for a CUDA that this environment does not carry{other}."
    )


def library_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    major = cuda_major(names)
    check = 'python -c "import torch; print(torch.__version__, torch.version.cuda)"'
    stem = names["library"].split(".so")[0]
    wheel = next((wheel for start, wheel in WHEELS.items() if stem.startswith(start)), None)
    if not major:
        library = f"nvidia-{wheel}-cu12 (or -cu13)" if wheel else "the package that carries it"
        return (check, f"Install {library}, with the version that this torch asks for.")
    suffix = "" if int(major) >= FIRST_WITHOUT_SUFFIX else f"-cu{major}"
    lines = [
        (f"{check}   # if that is not CUDA {major}: install the build for that, or rebuild it")
    ]
    if wheel:
        lines.append(f"If it is CUDA {major}: pip install nvidia-{wheel}{suffix}")
    if toolkit := newest_toolkit(scene):
        lines.append(
            f"ls {toolkit}/lib64/{names['library']} && export LD_LIBRARY_PATH={toolkit}/lib64"
        )
    return tuple(lines)


def stub_fix(scene: Scene) -> tuple[str, ...]:
    home = newest_toolkit(scene) or scene.clues.get("cuda_home") or "$CUDA_HOME"
    return (f"export LIBRARY_PATH={home}/lib64/stubs:$LIBRARY_PATH   # then link again",)


SIGNATURES = (
    Signature(
        "cuda-library-missing",
        LOADED,
        pattern(r"undefined symbol: (?P<symbol>\w+)(?:, version (?P<version>[\w.]+))?"),
        "{symbol} is missing: the CUDA library that is loaded first is not of the release that was"
        " linked against (two CUDA versions are on the path).",
        acts(
            "env | grep LD_LIBRARY_PATH   # an older toolkit here hides the one torch brings",
            "unset LD_LIBRARY_PATH   # torch's wheels find their own libraries",
            'python -c "import torch; print(torch.version.cuda)"; pip list | grep nvidia-',
        ),
        accept=lambda names: read_symbol(names["symbol"]).owner is Owner.CUDA,
    ),
    Signature(
        "cuda-library-missing",
        LOADED,
        pattern(CUDA_LIBRARY + r"(?: \(deleted\))?: cannot open shared object file"),
        library_cause,
        library_fix,
    ),
    Signature(
        "cuda-library-missing",
        kinds(Kind.EXCEPTION, Kind.SHELL),
        pattern(
            CUDA_LIBRARY
            + r"(?:' not found \(required by| not found in the system path)|Could not load library "
            + CUDA_LIBRARY.replace("library", "other").replace("version", "release")
        ),
        "torch finds {library}{other} nowhere: the nvidia-* packages that belong to this torch"
        " are not"
        " installed beside it.",
        acts(
            "pip install --force-reinstall torch   # with its dependencies, not --no-deps",
            'python -c "import torch; print(torch.version.cuda)"',
        ),
    ),
    Signature(
        "cuda-library-missing",
        kinds(Kind.LOGGED, Kind.PLAIN),
        pattern(CUDA_LIBRARY + r": cannot open shared object file"),
        library_cause,
        library_fix,
        before=EXTENSION_GONE,
    ),
    Signature(
        "cuda-library-missing",
        LOADED,
        pattern(r"(?P<library>libcuda\.so\.1|libnvidia-ml\.so\.1): cannot open shared object file"),
        "{library} comes with the NVIDIA driver, and no driver is visible here.",
        acts(
            "nvidia-smi   # whether this machine or container sees a driver at all",
            "In a container: docker run --gpus all ... (nvidia-container-toolkit)",
        ),
    ),
    Signature(
        "libcuda-stub-missing",
        kinds(Kind.LINKER, Kind.EXCEPTION),
        pattern(
            r"cannot find -lcuda(?!\w)|(?:unable to find library|library not found for) -lcuda"
            r"(?!\w)"
        ),
        "The linker finds no libcuda.so: there is no driver here, and the toolkit's stub is not"
        " on its path.",
        lambda _, scene: stub_fix(scene),
    ),
    Signature(
        "libcuda-stub-missing",
        kinds(Kind.CMAKE, Kind.LINKER, Kind.FRONTEND),
        pattern(
            r"CUDA::cuda_driver(?:.|\n)*?(?:target|but the target) was not found|CUDA_"
            r"(?:cuda_driver|CUDA)_LIBRARY"
            r"[^\n]*NOTFOUND|set to NOTFOUND(?:.|\n)*?CUDA_(?:cuda_driver|CUDA)_LIBRARY|Could NOT"
            r" find CUDA driver|undefined reference to .(?:cuMem|cuInit"
            r"|cuGet|cuCtx|cuModule)\w+"
        ),
        "libcuda is not found at link time: there is no driver here, and the toolkit's stub is"
        " not on the path.",
        lambda _, scene: stub_fix(scene),
    ),
    Signature(
        "libcuda-stub-missing",
        kinds(Kind.EXCEPTION),
        pattern(r"libcuda\.so cannot found"),
        "Triton looks for libcuda.so and finds none: no driver is visible, or only libcuda.so.1"
        " is.",
        acts(
            "ldconfig -p | grep libcuda   # where the driver's library is, if at all",
            "export TRITON_LIBCUDA_PATH=/that/folder   # or: ln -s libcuda.so.1 libcuda.so beside"
            " it",
            "In a container: docker run --gpus all ... (nvidia-container-toolkit)",
        ),
    ),
    Signature(
        "libcuda-stub-missing",
        kinds(Kind.NINJA),
        re.compile(r"FAILED: .*cumem_allocator\S*\n.*-shared(?:.|\n)*-lcuda\b"),
        "Linking cumem_allocator failed; it is the step that needs libcuda.so (-lcuda), and the"
        " linker's"
        " own message is not in this log.",
        lambda _, scene: stub_fix(scene),
        unless=re.compile(
            r"(?m)^(?!:).*(?:undefined reference|cannot find|error:|No space|Killed)"
        ),
    ),
)
