"""CMake, ninja, the CUDA toolkit as a thing to be found, precompiled wheels."""

from vllm_forge.diagnose.advice import has_gpu, install, newest_toolkit
from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Names, Scene, Signature, acts, kinds, pattern


def toolkit_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    del names
    if path := newest_toolkit(scene):
        return (f"export CUDA_HOME={path} PATH={path}/bin:$PATH   # then build again",)
    if has_gpu(scene) is False:
        return (
            "export VLLM_TARGET_DEVICE=cpu   # no NVIDIA GPU here: build for the CPU",
            "To compile for a GPU elsewhere: install a CUDA toolkit and set CUDA_HOME to its root.",
        )
    return (
        "ls -d /usr/local/cuda*/bin/nvcc; which nvcc   # is there a toolkit?",
        (
            "export CUDA_HOME=/usr/local/cuda PATH=/usr/local/cuda/bin:$PATH   # its root, if there"
            " is one"
        ),
        (
            "If there is none: install the CUDA toolkit of torch's CUDA (torch.version.cuda)."
            " Not for"
            " an NVIDIA GPU? export VLLM_TARGET_DEVICE=cpu"
        ),
    )


def precompiled_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    del names, scene
    return (
        (
            "export VLLM_PRECOMPILED_WHEEL_COMMIT=...   # an older commit of main whose wheels are"
            " published"
        ),
        "or VLLM_PRECOMPILED_WHEEL_LOCATION=/path/of/a/downloaded/release.whl of the same version,",
        "or compile: unset VLLM_USE_PRECOMPILED",
    )


COMPILERS = r"(?:[\w./-]*[/-])?(?:gcc|g\+\+|cc|c\+\+|clang(?:\+\+)?)(?:-\d+)?"

SIGNATURES = (
    Signature(
        "cuda-home-missing",
        kinds(Kind.EXCEPTION, Kind.CMAKE, Kind.FRONTEND),
        pattern(
            r"CUDA_HOME environment variable is not set|CUDA_HOME is not set|CUDA_HOME (?:is"
            r" )?not (?:set|found)"
            r"|CUDA_TOOLKIT_ROOT_DIR not found or specified|Could NOT find CUDA \(missing: "
            r"|Could NOT find CUDAToolkit|Failed to find nvcc|Could not find nvcc, please set"
            r"|Specify CUDA_TOOLKIT_ROOT_DIR|No CMAKE_CUDA_COMPILER could be found"
            r"|cannot find the CUDA libraries\. Please set the proper CUDA prefixes"
            r"|Could not find nvcc and default cuda_home|Can't find CUDA or HIP installation"
            r"|Unable to find nvcc|nvcc was not found|Cannot find (?:CUDA_HOME|nvcc)|specify"
            r" CUDA_HOME"
        ),
        "No CUDA toolkit is found: CUDA_HOME is not set and no nvcc is on PATH.",
        toolkit_fix,
    ),
    Signature(
        "cuda-home-missing",
        kinds(Kind.SHELL, Kind.EXCEPTION, Kind.FRONTEND, Kind.CMAKE),
        pattern(
            r"No such file or directory: '(?P<path>[^']*nvcc)'|(?:^|\s)(?P<shell>\S*nvcc): "
            r"(?:command )?not found"
            r"|(?P<none>\S*/None/bin/nvcc)"
        ),
        "There is no nvcc at {path}{shell}{none}: the CUDA toolkit is not installed there.",
        toolkit_fix,
        unless=pattern(r"(?:^|[\s'])::?/\S*/bin/nvcc|[\s']:/\S*/bin/nvcc"),
    ),
    Signature(
        "cuda-home-missing",
        kinds(Kind.COMPILER),
        pattern(
            r"fatal error: (?P<header>cuda(?:_runtime(?:_api)?|_fp16|_bf16|_fp8)?\.h|curand\w*\.h"
            r"|cublas\w*\.h|cusparse\w*\.h"
            r"|cusolver\w*\.h|nvrtc\.h|crt/\S+\.h|thrust/\S+|cub/\S+|cuda/std/\S+): No such file"
        ),
        "The compiler finds no {header}: CUDA_HOME is not set, or its toolkit is not complete.",
        toolkit_fix,
        yields_to=frozenset({"jit-failed"}),
    ),
    Signature(
        "cuda-home-missing",
        kinds(Kind.CMAKE),
        pattern(
            r"CMAKE_CUDA_COMPILER:\s+(?P<path>\S+) is not (?:a full path to an existing compiler"
            r" tool|found in the PATH|able to be found)"
        ),
        "CMake was told to use {path} as nvcc, and there is no such file.",
        toolkit_fix,
    ),
    Signature(
        "cuda-home-missing",
        kinds(Kind.CMAKE),
        pattern(r"Couldn't find CUDA library root"),
        "CMake found an nvcc, but not the toolkit's libraries beside it: a wrapper, a link or a"
        " part"
        " of a toolkit.",
        toolkit_fix,
    ),
    Signature(
        "cmake-too-old",
        kinds(Kind.CMAKE, Kind.EXCEPTION),
        pattern(
            r"CMake (?P<wanted>[\d.]+) or higher is required\. You are running version "
            r"(?P<have>[\d.]+\w*)"
        ),
        "CMake {have} is too old: {wanted} or newer is needed.",
        acts(
            "pip install 'cmake>={wanted}' && hash -r && cmake --version   # must now say"
            " {wanted} or newer"
        ),
    ),
    Signature(
        "cmake-too-old",
        kinds(Kind.EXCEPTION),
        pattern(r"(?i)cmake >= ?(?P<wanted>\d[\d.]*\d) (?:is required|required|or newer)"),
        "CMake is missing or older than {wanted}.",
        acts("pip install 'cmake>={wanted}' && hash -r && cmake --version"),
    ),
    Signature(
        "cmake-too-old",
        kinds(Kind.FRONTEND),
        pattern(
            r"only (?:the following versions of )?cmake(?:==|<=|<)(?P<have>[\d.]+) (?:is|are)"
            r" available and you"
            r" require cmake>=(?P<wanted>[\d.]+)"
            r"|satisfies the requirement cmake>=(?P<need>[\d.]+) \(from versions: (?:[\d., ]*, )?"
            r"(?P<found>[\d.]+)\)"
        ),
        "The index that is asked first only has CMake {have}{found}; {wanted}{need} or newer is"
        " needed.",
        lambda names, _: (
            f"env -u PIP_EXTRA_INDEX_URL pip install 'cmake>={names['need']}'   # from the"
            f" default index, first"
            if not names["wanted"]
            else (
                "Let uv look at every index: uv pip install --index-strategy unsafe-best-match ..."
            ),
            "An extra index (torch's) carries an old cmake that hides newer ones.",
        ),
    ),
    Signature(
        "cmake-too-old",
        kinds(Kind.CMAKE),
        pattern(
            r"Policy \"CMP\d+\" is not known to this version of CMake|Unknown CMake command \""
            r"(?P<command>\w+)\""
        ),
        "This CMake is older than the project expects ({command}).",
        acts("pip install 'cmake>=3.26.1' && hash -r && cmake --version"),
        unless=pattern(r"torch_cuda|define_gpu|hipify|caffe2"),
    ),
    Signature(
        "cmake-policy",
        kinds(Kind.CMAKE, Kind.FRONTEND, Kind.EXCEPTION),
        pattern(r"Compatibility with CMake < (?P<floor>[\d.]+) has been removed from CMake"),
        "CMake 4 dropped compatibility with projects that ask for a CMake older than {floor}; a"
        " project in"
        " this build still does.",
        acts(
            "export CMAKE_POLICY_VERSION_MINIMUM={floor}   # CMake 4 reads it from the environment",
            "or: pip install 'cmake<4'",
        ),
    ),
    Signature(
        "ninja-missing",
        kinds(Kind.CMAKE, Kind.EXCEPTION, Kind.SHELL, Kind.FRONTEND),
        pattern(
            r"unable to find a build program corresponding to \"Ninja\"|Ninja is required to load"
            r" C\+\+ extensions"
            r"|No such file or directory: '(?:\S*/)?ninja'|(?:^|[\s/])ninja: (?:command )?not found"
            r"|could not find ninja|ninja is required to"
        ),
        "ninja is not on PATH; torch's and FlashInfer's extension builds and CMake call it by"
        " name.",
        acts(
            "pip install ninja && hash -r",
            "If it is installed: put the environment's bin on PATH (source .venv/bin/activate);"
            " services and"
            " subprocesses do not inherit an activation.",
        ),
    ),
    Signature(
        "ninja-missing",
        kinds(Kind.CMAKE),
        pattern(r"CMAKE_MAKE_PROGRAM is not set"),
        "CMake has no build program: ninja is not on PATH.",
        acts("pip install ninja && hash -r   # then remove the build folder and configure again"),
        also=pattern(r"(?i)ninja"),
    ),
    Signature(
        "precompiled-missing",
        kinds(Kind.EXCEPTION, Kind.FRONTEND),
        pattern(
            r"HTTP Error (?P<status>40[34])(?:.|\n)*|No compatible wheel found for (?P<arch>\S+)"
            r"|Failed to (?:get|fetch) (?:vLLM wheel|precompiled wheel metadata)[^\n]*"
            r"|Only version-suffixed local wheel paths|[Pp]recompiled wheel[^\n]*(?:not found"
            r"|does not exist)"
        ),
        "VLLM_USE_PRECOMPILED asks for a wheel that is not published for this commit, CUDA or"
        " platform.",
        precompiled_fix,
        unless=pattern(r"Building from source"),
        also=pattern(
            r"(?i)precompiled|wheels\.vllm|download_and_extract|fetch_metadata|vllm[^\n]*nightly"
        ),
    ),
    Signature(
        "precompiled-missing",
        kinds(Kind.FRONTEND, Kind.PLAIN),
        pattern(
            r"VLLM_PRECOMPILED_WHEEL_COMMIT not valid[^\n]*|Trying to fetch nightly build"
            r" metadata from[^\n]*"
        ),
        "VLLM_USE_PRECOMPILED looks for the wheel of one commit of main and stops there: it is not"
        " published (yet).",
        precompiled_fix,
        before=pattern(r"Failed to build|HTTP Error 40[34]|build_editable|(?i:error)"),
        yields_to=frozenset({"network-unreachable", "cuda-home-missing", "disk-full"}),
    ),
    Signature(
        "precompiled-missing",
        kinds(Kind.EXCEPTION),
        pattern(r"VLLM_USE_PRECOMPILED is only supported for (?P<target>[^\n]+?) builds"),
        "There are precompiled wheels for {target} only, and this build is for another target.",
        acts(
            "unset VLLM_USE_PRECOMPILED   # compile for this target",
            'python -c "import torch; print(torch.__version__, torch.version.cuda)"; echo'
            " $VLLM_TARGET_DEVICE",
        ),
    ),
    Signature(
        "precompiled-missing",
        kinds(Kind.PLAIN),
        pattern(r"Downloading wheel from (?P<url>https://wheels\.vllm\.ai/\S+)"),
        "VLLM_USE_PRECOMPILED asks for a wheel that is not published: {url}.",
        precompiled_fix,
        before=pattern(r"HTTP Error 40[34]"),
    ),
    Signature(
        "compiler-missing",
        kinds(Kind.CMAKE),
        pattern(
            r"No CMAKE_(?P<language>CXX|C)_COMPILER could be found"
            r"|CMAKE_(?P<named>CXX|C)_COMPILER:\s+(?P<path>\S+) is not (?:a full path|found in)"
        ),
        "There is no {language}{named} compiler {path}.",
        lambda _, scene: (install(scene, "build-essential", "gcc gcc-c++ make"),),
    ),
    Signature(
        "compiler-missing",
        kinds(Kind.FRONTEND, Kind.SHELL, Kind.COMPILER),
        pattern(
            rf"command '(?P<command>{COMPILERS})' failed: No such file"
            rf"|unable to execute '(?P<run>{COMPILERS})': No such file"
            rf"|(?:^|\s)(?P<shell>{COMPILERS}): (?:command )?not found"
            r"|(?:cannot execute|error trying to exec) '(?P<part>cc1(?:plus)?)'"
        ),
        "There is no {command}{run}{shell}{part}: the compiler is not installed, or only a part of"
        " it is.",
        lambda _, scene: (install(scene, "build-essential", "gcc gcc-c++ make"),),
    ),
    Signature(
        "compiler-missing",
        kinds(Kind.COMPILER),
        pattern(r"Failed to preprocess host compiler properties"),
        "nvcc cannot run its host compiler: g++ is missing, or the one it is told to use is.",
        lambda _, scene: (
            "g++ --version; echo $NVCC_PREPEND_FLAGS $CUDAHOSTCXX   # the compiler that nvcc calls",
            install(scene, "g++", "gcc-c++"),
        ),
    ),
)
