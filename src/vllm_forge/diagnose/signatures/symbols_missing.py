"""Symbols that the loader does not find: whose they are says what was swapped or left out."""

from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Names, Scene, Signature, acts, kinds, pattern
from vllm_forge.diagnose.signatures.loading import EXTENSION_GONE, LOADED
from vllm_forge.diagnose.symbols import Owner, Symbol, read_symbol

REBUILD = {
    "flash_attn": (
        "pip install --no-build-isolation --no-binary flash-attn --force-reinstall flash-attn"
    ),
    "xformers": (
        "pip install --force-reinstall --no-deps xformers   # the release made for this torch"
    ),
    "torchvision": "pip install --force-reinstall torchvision   # the release made for this torch",
    "torchaudio": "pip install --force-reinstall torchaudio   # the release made for this torch",
    "vllm": "pip install --no-build-isolation -e .   # in vLLM's source, build folder removed",
}


def abi_of(symbol: Symbol) -> str:
    if symbol.string_abi == "old":
        return (
            " Its std::string is of the old C++ ABI, so that torch had the old ABI: the package"
            " index's 2.6"
            " and older, but not 2.6 for CUDA 12.6, NVIDIA's own, or any 2.7 and newer."
        )
    if symbol.string_abi == "new":
        return (
            " Its std::string is of the new C++ ABI, so that torch had the new ABI: 2.7 and"
            " newer, 2.6 for"
            " CUDA 12.6, NVIDIA's own."
        )
    return ""


def torch_cause(names: Names, scene: Scene) -> str:
    symbol = read_symbol(names["symbol"])
    library = names["library"].rsplit("/", 1)[-1] or "The extension"
    torch = scene.clues.get("torch")
    have = f" (here {torch})" if torch else ""
    return (
        f"{library} was compiled against another torch than the one that loads it{have}: it wants"
        f" {symbol.name}, which torch keeps in {symbol.library}.{abi_of(symbol)}"
    )


def torch_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    del scene
    path = names["library"]
    package = next((name for name in REBUILD if name in path), None)
    rebuild = REBUILD[package] if package else "Build that extension again, against this torch."
    return (
        (
            'python -c "import torch; print(torch.__version__, torch.version.cuda,'
            ' torch._C._GLIBCXX_USE_CXX11_ABI)"   # the torch that loads it'
        ),
        f"Compile against that torch: {rebuild}" if package else rebuild,
        "or install the torch it was compiled against.",
    )


def own_kernel_fix(scene: Scene) -> tuple[str, ...]:
    del scene
    return (
        (
            "Look in the configure output for `Building ... for archs` and `Not building ...` of"
            " kernel."
        ),
        (
            "Build again from an empty build folder, with TORCH_CUDA_ARCH_LIST holding your GPU's"
            " capability"
            " and a CUDA toolkit that knows it (12.8 or newer for NVFP4 and Blackwell)."
        ),
    )


SIGNATURES = (
    Signature(
        "undefined-symbol-torch",
        kinds(Kind.EXCEPTION, Kind.SHELL),
        pattern(r"(?:(?P<library>/[^\s:']+\.so[\w.]*): )?undefined symbol: (?P<symbol>\w+)"),
        torch_cause,
        torch_fix,
        accept=lambda names: read_symbol(names["symbol"]).owner is Owner.TORCH,
    ),
    Signature(
        "undefined-symbol-torch",
        kinds(Kind.LOGGED, Kind.PLAIN),
        pattern(r"(?:(?P<library>/[^\s:']+\.so[\w.]*): )?undefined symbol: (?P<symbol>\w+)"),
        torch_cause,
        torch_fix,
        accept=lambda names: read_symbol(names["symbol"]).owner is Owner.TORCH,
        before=EXTENSION_GONE,
    ),
    Signature(
        "undefined-symbol-torch",
        kinds(Kind.LINKER),
        pattern(r"undefined reference to [`'](?P<symbol>(?:c10|at|torch)::[^\n]*?)'(?:\n|$)"),
        "The objects want {symbol}, which the libtorch they are linked with does not have: headers"
        " and libraries are of two torch versions, or of two C++ ABIs.",
        acts(
            "Remove the build folder: objects of an older torch may be left in it.",
            'python -c "import torch; print(torch.__version__, torch.__file__,'
            ' torch._C._GLIBCXX_USE_CXX11_ABI)"   # one torch for headers and libraries',
        ),
    ),
    Signature(
        "native-op-missing",
        LOADED,
        pattern(r"(?P<library>/[^\s:']+\.so[\w.]*): undefined symbol: (?P<symbol>_Z\w+)"),
        lambda names, _: (
            f"{names['library'].rsplit('/', 1)[-1]} registers"
            f" {read_symbol(names['symbol']).name}, but"
            " that kernel was not compiled into it: its source was left out for the GPU"
            " architectures"
            " or the nvcc of this build."
        ),
        lambda _, scene: own_kernel_fix(scene),
        accept=lambda names: read_symbol(names["symbol"]).owner is Owner.OTHER,
        also=pattern(r"vllm|flash|_C\b|moe|sgl|cutlass"),
    ),
)
