"""Names that torch, Triton or transformers of another release have."""

from vllm_forge.diagnose.advice import number
from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Names, Scene, Signature, acts, kinds, pattern

TRITON_OF_TORCH = {
    "2.4.0": "3.0.0",
    "2.4.1": "3.0.0",
    "2.5.0": "3.1.0",
    "2.5.1": "3.1.0",
    "2.6.0": "3.2.0",
    "2.7.0": "3.3.0",
    "2.7.1": "3.3.1",
    "2.8.0": "3.4.0",
    "2.9.0": "3.5.0",
    "2.9.1": "3.5.1",
    "2.10.0": "3.6.0",
    "2.11.0": "3.6.0",
}
"""What torch's wheels require; a test compares it with data/torch.json."""
TORCH_OF_API = {
    "Float8_e8m0fnu": "2.7",
    "float8_e8m0fnu": "2.7",
    "Float4_e2m1fn_x2": "2.8",
    "float4_e2m1fn_x2": "2.8",
    "accelerator": "2.6",
    "infer_schema": "2.5",
}
"""The first torch release that has a name: torch's headers and __init__ in the published wheels."""


def api_cause(names: Names, scene: Scene) -> str:
    api = next(
        (names[key] for key in ("api", "name", "member", "module", "header") if names.get(key)), ""
    )
    torch = scene.clues.get("torch")
    since = TORCH_OF_API.get(api.rsplit(".", 1)[-1])
    have = f"torch {torch}" if torch else "The torch that is used"
    return f"{have} has no {api}" + (f", which came with torch {since}." if since else ".")


def api_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    api = next((names[key] for key in ("api", "name", "member", "module") if names.get(key)), "")
    since = TORCH_OF_API.get(api.rsplit(".", 1)[-1])
    vllm = scene.clues.get("vllm")
    lines = [
        (
            'python -c "import torch; print(torch.__version__)"; grep -n "torch" pyproject.toml'
            "   # what is installed, what this source pins"
        )
    ]
    least = f" ({since} or newer)" if since else ""
    pins = f"vLLM {vllm}" if vllm else "the source"
    lines.append(f"Install the torch that {pins} pins{least}, or the release made for your torch.")
    return tuple(lines)


def triton_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    del names
    torch = scene.clues.get("torch")
    if torch and (wanted := TRITON_OF_TORCH.get(torch.partition("+")[0])):
        return (f"pip install triton=={wanted}   # the one that torch {torch} asks for",)
    return (
        (
            "python -c \"import importlib.metadata as m; print([r for r in m.requires('torch') if"
            " 'triton' in r])\""
        ),
        (
            "pip install the triton that this prints. On a CPU-only or non-Linux machine there is"
            " none: use"
            " vLLM's CPU build."
        ),
    )


def same(names: Names) -> Names:
    """The alternatives of one pattern cannot share a group's name."""
    found = {key.rstrip("2"): value for key, value in names.items() if value}
    return {"member": found.get("enum", "")} | found


def ipex_act(scene: Scene) -> str:
    torch = scene.clues.get("torch")
    vllm = scene.clues.get("vllm")
    if torch and number(torch.split("+")[0]) < number("2.9"):
        return (
            f"pip install intel_extension_for_pytorch=={'.'.join(torch.split('.')[:2])}.*   #"
            f" that of torch {torch}"
        )
    if vllm and vllm.startswith("0.10.1"):
        return (
            "pip install intel_extension_for_pytorch==2.6.0   # as requirements/cpu.txt of 0.10.1"
            " has it"
        )
    return (
        "pip install the intel_extension_for_pytorch of torch's minor version "
        "(requirements/cpu.txt names it)"
    )


SIGNATURES = (
    Signature(
        "torch-api-missing",
        kinds(Kind.COMPILER),
        pattern(
            r"error: namespace \"(?P<space>(?:at|c10|torch)[\w:]*)\" has no member \""
            r"(?P<member>\w+)\""
            r"|error: [\u2018'](?P<name>\w+)[\u2019'] is not a member of [\u2018'](?P<in>(?:at"
            r"|c10|torch)\b[\w:]*)"
            r"|error: no (?:member|type) named '(?P<api>\w+)' in (?:namespace )?'(?P<of>(?:at|c10"
            r"|torch)\b[\w:]*)"
            r"|[\u2018'](?P<api2>\w+)[\u2019'] in namespace [\u2018'](?:at|c10"
            r"|torch)\b[\w:]*[\u2019'] does not name a"
            r"|class \"(?:at|c10|torch)::[\w:]+\" has no member \"(?P<member2>\w+)\""
            r"|[\u2018'](?:const )?(?:class|struct|enum class) (?:at|c10|torch)::[\w:]+[\u2019']"
            r" has no member named [\u2018'](?P<name2>\w+)"
            r"|enum \"(?:at|c10|torch)[\w:]*\" has no (?:member|enumerator) \"(?P<enum>\w+)\""
        ),
        lambda names, scene: api_cause(same(names), scene),
        lambda names, scene: api_fix(same(names), scene),
    ),
    Signature(
        "torch-api-missing",
        kinds(Kind.COMPILER),
        pattern(
            r"fatal error:? '?(?P<header>(?:torch|ATen|c10|caffe2|THC?)/[\w/.-]+)'?:? (?:No such"
            r" file|file not found)"
        ),
        "The torch that is compiled against has no header {header}.",
        api_fix,
    ),
    Signature(
        "torch-api-missing",
        kinds(Kind.COMPILER),
        pattern(
            r"error: [\u2018'](?P<name>(?:at|c10|torch)::[\w:]+)[\u2019'] has not been declared"
            r"|(?P<member>at::DeprecatedTypeProperties)\S* to \S*c10::ScalarType"
        ),
        lambda names, scene: (
            api_cause(names, scene)
            if names["name"]
            else "The source calls tensor.type() where the torch that is compiled against takes"
            " tensor.scalar_type(): it was written for an older torch."
        ),
        api_fix,
    ),
    Signature(
        "torch-api-missing",
        kinds(Kind.EXCEPTION),
        pattern(
            r"AttributeError: (?:partially initialized )?module '(?P<space>torch(?:\.[\w.]+)?)'"
            r" has no attribute '(?P<name>\w+)'"
            r"|cannot import name '(?P<api>\w+)' from (?:partially initialized module )?'torch"
            r"(?:\.[\w.]+)?'"
            r"|ModuleNotFoundError: No module named '(?P<module>torch\.[\w.]+)'"
        ),
        api_cause,
        api_fix,
        unless=pattern(r"partially initialized module"),
    ),
    Signature(
        "torch-api-missing",
        kinds(Kind.EXCEPTION),
        pattern(
            r"infer_schema\(func\): (?P<name>Parameter \w+ has unsupported type [\w\[\].|]+[\w\]])"
        ),
        "This vLLM registers operators with types that the installed torch cannot read ({name}):"
        " torch is"
        " older than the one it pins.",
        api_fix,
    ),
    Signature(
        "triton-missing",
        kinds(Kind.EXCEPTION),
        pattern(
            r"No module named 'triton(?:\.[\w.]+)?'|Cannot find a working triton installation"
            r"|TritonMissing\b"
            r"|Model Runner V2 requires Triton"
        ),
        "Triton is not installed, and this code path needs it.",
        triton_fix,
    ),
    Signature(
        "triton-missing",
        kinds(Kind.EXCEPTION),
        pattern(
            r"cannot import name '(?P<name>\w+)' from 'triton[\w.]*'|module 'triton"
            r"(?P<space>[\w.]*)' has no attribute '(?P<attribute>\w+)'"
        ),
        "The installed Triton is not the one that this torch asks for (no {name}{attribute}).",
        triton_fix,
    ),
    Signature(
        "ipex-missing",
        kinds(Kind.EXCEPTION),
        pattern(r"No module named 'intel_extension_for_pytorch[\w.]*'"),
        "intel_extension_for_pytorch is not installed; vLLM's CPU attention of this release"
        " imports it on x86-64.",
        lambda _, scene: (ipex_act(scene),),
    ),
    Signature(
        "transformers-mismatch",
        kinds(Kind.EXCEPTION),
        pattern(
            r"cannot import name '(?P<name>\w+)' from 'transformers[\w.]*'|module"
            r" 'transformers[\w.]*' has no attribute '(?P<attribute>\w+)'"
            r"|No module named '(?P<module>transformers\.models\.\w+)[\w.]*'|model type `"
            r"(?P<type>[\w-]+)` but Transformers does not recognize this architecture"
            r"|'(?P<class>\w+)' object has no attribute 'all_special_tokens_extended'"
        ),
        "The installed transformers and vLLM (or the model) are of different times "
        "({name}{attribute}{module}{type}{class}).",
        acts(
            "grep -n transformers requirements/common.txt   # what this vLLM asks for",
            "pip install the transformers in that range; a model newer than it needs a newer vLLM.",
        ),
    ),
)
