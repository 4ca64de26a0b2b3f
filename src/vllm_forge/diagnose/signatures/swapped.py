"""Installed packages that no longer fit each other: torch replaced, NumPy of another ABI."""

from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Names, Scene, Signature, acts, kinds, pattern
from vllm_forge.records.finding import Severity

NEW_NUMPY = 2


def swapped_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    old = names.get("old") or names.get("gone") or ""
    local = old.partition("+")[2]
    channel = f" --torch-backend={local}" if local.startswith(("cu", "cpu", "rocm")) else ""
    lines = [f"uv pip install torch=={old.partition('+')[0]}{channel}   # the one that was there"]
    lines.append(
        "Then install without touching torch: pip install --no-build-isolation --no-deps -e . ;"
        " or keep"
        " the new torch and compile every extension against it."
    )
    if scene.clues.get("vllm"):
        lines.append(
            f"grep -n torch requirements/cuda.txt   # what vLLM {scene.clues.get('vllm')} pins"
        )
    return tuple(lines)


def conflict_fix(names: Names) -> tuple[str, ...]:
    package = names["package"]
    return (
        f"pip install 'torch{names['spec']}'   # the torch that {package} was made for",
        (
            f"or install the release of {package} that was made for torch"
            f" {names['new'].partition('+')[0]};"
            " one torch must satisfy all."
        ),
    )


def compiled_for(names: Names) -> int | None:
    """The NumPy major version an extension was compiled for, by the size of PyArray_Descr."""
    if names.get("type") != "dtype":
        return None
    return {("96", "88"): 1, ("88", "96"): 2}.get((names["built"], names["found"]))


def numpy_cause(names: Names) -> str:
    major = compiled_for(names)
    if major is None:
        return (
            f"An extension was compiled for another NumPy (numpy.{names['type']} has another size)."
        )
    return f"An extension was compiled for NumPy {major}, and NumPy {3 - major} is installed."


def numpy_fix(names: Names) -> tuple[str, ...]:
    again = "or install the package that the traceback names again, for this NumPy."
    if names.get("type") and compiled_for(names) is None:
        return (
            "pip install --upgrade numpy   # older than what the extension was compiled for",
            again,
        )
    pin = "numpy>=2" if compiled_for(names) == NEW_NUMPY else "numpy<2"
    return (f"pip install '{pin}'", again)


SIGNATURES = (
    Signature(
        "numpy-abi",
        kinds(Kind.EXCEPTION),
        pattern(
            r"numpy\.(?P<type>\w+) size changed, may indicate binary incompatibility\. Expected "
            r"(?P<built>\d+)"
            r" from C header, got (?P<found>\d+)"
        ),
        lambda names, _: numpy_cause(names),
        lambda names, _: numpy_fix(names),
    ),
    Signature(
        "numpy-abi",
        kinds(Kind.EXCEPTION),
        pattern(
            r"numpy\.core\.multiarray failed to import|_ARRAY_API not found|RuntimeError: Numpy"
            r" is not available"
            r"|compiled using NumPy 1\.x cannot be run in|module compiled against (?:ABI|API)"
            r" version 0x"
            r"|`np\.\w+` was removed in the NumPy 2\.0 release"
            r"|No module named 'numpy\._core|cannot import name '_?\w+' from 'numpy\."
        ),
        "An extension and the installed NumPy are of different major versions (1 and 2).",
        lambda names, _: numpy_fix(names),
    ),
    Signature(
        "torch-swapped",
        kinds(Kind.FRONTEND),
        pattern(
            r"dependency conflicts\.(?:.|\n)*?(?P<package>vllm) (?P<release>\S+) requires"
            r" torch(?P<spec>[=<>!~][^\s;]*?), but you have torch (?P<new>\S+) which is"
            r" incompatible"
        ),
        "The installation left torch {new} where {package} {release} wants torch{spec}: its"
        " compiled"
        " extensions do not load with another torch.",
        lambda names, _: conflict_fix(names),
    ),
    Signature(
        "torch-swapped",
        kinds(Kind.FRONTEND),
        pattern(
            r"dependency conflicts\.(?:.|\n)*?(?P<package>[\w.-]+) (?P<release>\S+) requires"
            r" torch(?P<spec>[=<>!~][^\s;]*?), but you have torch (?P<new>\S+) which is"
            r" incompatible"
        ),
        "The installation left torch {new} where {package} {release} wants torch{spec}: its"
        " compiled"
        " extensions do not load with another torch.",
        lambda names, _: conflict_fix(names),
    ),
    Signature(
        "torch-swapped",
        kinds(Kind.PLAIN),
        pattern(r"Uninstalling torch-(?P<old>\d\S+?):"),
        "The installation replaced torch {old} by another: what was compiled against it no longer"
        " loads.",
        swapped_fix,
        severity=Severity.WARNING,
        accept=lambda names: "+" in names["old"],
    ),
    Signature(
        "torch-swapped",
        kinds(Kind.PLAIN),
        pattern(r"^- torch==(?P<old>\d\S+)$"),
        "The installation replaced torch {old} by another: what was compiled against it no longer"
        " loads.",
        swapped_fix,
        severity=Severity.WARNING,
        accept=lambda names: "+" in names["old"],
    ),
    Signature(
        "torch-swapped",
        kinds(Kind.EXCEPTION, Kind.SHELL),
        pattern(r"(?P<library>lib(?:torch_cuda|c10_cuda)\S*\.so): cannot open shared object file"),
        "{library} is missing: the installed torch is a CPU build, and what loads it was compiled"
        " against a"
        " CUDA build.",
        acts(
            'python -c "import torch; print(torch.__version__, torch.version.cuda)"   # None: a'
            " CPU build",
            "uv pip install --reinstall torch --torch-backend=auto   # the CUDA build, in the"
            " version that was compiled against",
        ),
    ),
    Signature(
        "torch-swapped",
        kinds(Kind.EXCEPTION),
        pattern(r"Torch not compiled with CUDA enabled"),
        "The installed torch is a CPU build, and a GPU is asked for.",
        acts(
            'python -c "import torch; print(torch.__version__, torch.version.cuda)"   # None: a'
            " CPU build",
            "uv pip install --reinstall torch --torch-backend=auto   # the CUDA build, in the"
            " version that vLLM pins",
        ),
    ),
    Signature(
        "torch-swapped",
        kinds(Kind.EXCEPTION),
        pattern(
            r"operator torchvision::\w+ does not exist|Couldn't load custom C\+\+ ops"
            r"|partially initialized module 'torchvision' has no attribute 'extension'"
            r"|PyTorch (?:has CUDA Version=|and torchvision (?:has|were) compiled with different"
            r" CUDA)"
        ),
        "torchvision was made for another torch than the one that is installed: one of the two"
        " was replaced.",
        acts(
            "python -c \"import importlib.metadata as m; print(m.version('torch'), m.version"
            "('torchvision'),"
            " m.requires('torchvision'))\"",
            "pip install --force-reinstall --no-deps torchvision==...   # the release that asks"
            " for this torch",
        ),
    ),
)
