"""vLLM's own operators and arguments."""

from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Names, Scene, Signature, acts, kinds, pattern

LOADER_CODES = frozenset(
    {
        "glibc-too-old",
        "glibcxx-too-old",
        "cuda-library-missing",
        "undefined-symbol-torch",
        "libnuma-missing",
    }
)


GONE_ARGUMENTS = {
    "enable-reasoning": "left out since 0.9: --reasoning-parser alone is enough",
    "task": "gone since 0.14: --runner and --convert say it",
    "num-scheduler-steps": "gone since 0.10: the V1 engine has no multi-step scheduling",
    "use-v2-block-manager": "gone since 0.10: there is only one",
    "disable-log-requests": "gone since 0.20: requests are logged only with --enable-log-requests",
    "swap-space": "gone since 0.20",
    "guided-decoding-backend": "gone since 0.14: --structured-outputs-config",
    "rope-scaling": "gone since 0.11.2: --hf-overrides",
    "device": "gone since 0.10: the platform is detected",
    "max-seq-len-to-capture": "gone since 0.11.2",
    "preemption-mode": "gone since 0.11.2",
}
"""Found by reading arg_utils.py and cli_args.py of the published trees 0.8.0 to 0.28.0."""


def argument_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    del scene
    given = names.get("argument") or names.get("arguments") or names.get("given") or ""
    plain = (
        given.lstrip("-").split()[0].split("=")[0].replace("_", "-") if given.strip("- ") else ""
    )
    if plain in GONE_ARGUMENTS:
        return (f"--{plain} is {GONE_ARGUMENTS[plain]}.",)
    return (
        (
            'python -c "import vllm; print(vllm.__version__)"   # use the script, or the'
            " documentation, of this version"
        ),
        f"vllm serve --help | grep -i -- {plain or '...'}   # what it takes instead",
    )


def op_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    op = names["op"] or names["op2"]
    lines = [
        (
            'python -c "import vllm._C"   # says why, when it does not load (newer releases:'
            " vllm._C_stable_libtorch)"
        )
    ]
    if "fp8" in op or "fp4" in op:
        lines.append(
            "If it loads: this target has no such kernel (the CPU build has no FP8). For a CPU:"
            " vllm-forge"
            " dequantize CHECKPOINT --output PLAIN"
        )
    else:
        lines.append(
            "If it loads: build again for this device and these GPU architectures, from an empty"
            " build folder."
        )
    del scene
    return tuple(lines)


SIGNATURES = (
    Signature(
        "native-op-missing",
        kinds(Kind.EXCEPTION, Kind.LOGGED),
        pattern(
            r"'_OpNamespace' '(?P<space>\w+)' object has no attribute '(?P<op>\w+)'"
            r"|(?:Could not run|operator) '?(?P<space2>_\w*C\w*)::(?P<op2>\w+)'? (?:with"
            r" arguments from the '(?P<backend>\w+)'|does not exist)"
        ),
        lambda names, _: (
            f"torch has no operator"
            f" {names['space'] or names['space2']}::{names['op'] or names['op2']}: the"
            " extension that registers it was not loaded, or was built without it for this target."
        ),
        op_fix,
        yields_to=LOADER_CODES,
    ),
    Signature(
        "native-op-missing",
        kinds(Kind.EXCEPTION),
        pattern(
            r"No module named '(?P<module>vllm\.(?:_\w*C\w*|cumem_allocator"
            r"|vllm_flash_attn\.[\w.]+|_version|cuda_utils))'"
        ),
        "vLLM's compiled part {module} is not there: vllm is imported from a source folder in"
        " which nothing"
        " was built, or the build left it out.",
        acts(
            'cd / && python -c "import vllm; print(vllm.__file__)"   # a source folder hides the'
            " installed package",
            "In the source folder: pip install -e .   # compiles the extensions into it",
        ),
        yields_to=LOADER_CODES,
    ),
    Signature(
        "engine-argument-unknown",
        kinds(Kind.EXCEPTION),
        pattern(
            r"(?P<where>\w*(?:Args|LLM|OpenAIServing|Config|Engine|SamplingParams"
            r"|Processor)\w*)\.(?:__init__"
            r"|from_engine_args|create)\(\) got an unexpected"
            r" keyword argument '(?P<argument>\w+)'"
            r"|TypeError: Unexpected keyword argument '(?P<given>\w+)'|"
            r"(?P<function>init_app_state|build_async_engine_client|run_server|serve_http"
            r"|\w*engine\w*)\(\) got an unexpected keyword argument '(?P<arguments>\w+)'"
        ),
        "{where}{function} of the installed vLLM takes no argument {argument}{arguments}{given}:"
        " script"
        " and vLLM are of"
        " different versions.",
        argument_fix,
        also=pattern(r"vllm|(?:Args|LLM|Config|Engine|OpenAIServing|Params|Processor)"),
    ),
    Signature(
        "engine-argument-unknown",
        kinds(Kind.FRONTEND),
        pattern(
            r"(?:vllm|api_server|main|serve|launch|benchmark\w*|openai\S*)(?:\.py)?(?: serve)?:"
            r" error: (?:unrecognized arguments: (?P<arguments>[^\n]+)"
            r"|ambiguous option: (?P<ambiguous>[^\n]+)|argument (?P<argument>--?[\w/-]+): "
            r"(?P<why>invalid choice: [^\n]{1,80}|expected [^\n]+))"
        ),
        "The installed vLLM does not take {arguments}{ambiguous}{argument} {why}.",
        argument_fix,
        unless=pattern(r"--quantization/-q: invalid choice"),
    ),
    Signature(
        "engine-argument-unknown",
        kinds(Kind.EXCEPTION),
        pattern(
            r"validation errors? for (?P<where>\w*(?:Config|Args)) (?P<argument>[\w.-]+) "
            r"(?:Unexpected keyword argument|Extra inputs are not permitted)"
        ),
        "{where} of the installed vLLM takes no field {argument}.",
        argument_fix,
    ),
)
