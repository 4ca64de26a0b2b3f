"""Quantization methods and algorithms that a vLLM does not read."""

from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Names, Scene, Signature, acts, kinds, pattern

EMPTY = frozenset({"", "None"})


SINCE = {
    "modelopt_fp4": "0.9.0 (0.8 calls it nvfp4)",
    "modelopt_mxfp8": "0.16",
    "modelopt_mixed": "0.17",
    "mxfp4": "0.10.1",
    "mxfp8": "0.28",
    "compressed-tensors": "0.5",
}
"""From the registries of the published trees (layers/quantization/__init__.py)."""


NO_METHOD_FIX = (
    "vllm-forge repair CHECKPOINT --output FIXED   # writes quant_method into a copy's config",
    (
        'By hand: add "quant_method": "modelopt" (NVFP4: "modelopt_fp4") to quantization_config in'
        " config.json."
    ),
)


DEQUANTIZE = "vllm-forge dequantize CHECKPOINT --output PLAIN   # an equivalent BF16 checkpoint"


def mismatch_cause(names: Names, scene: Scene) -> str:
    del scene
    if names["config"] in EMPTY:
        return (
            f"The checkpoint's config names no quantization method (ModelOpt 0.31 to 0.33 wrote"
            f" none), and"
            f" `quantization={names['argument']}` must agree with it."
        )
    return (
        f"The checkpoint says {names['config']}, the `quantization` argument says"
        f" {names['argument']}."
    )


def mismatch_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    del scene
    if names["config"] in EMPTY:
        return NO_METHOD_FIX
    return (
        (
            f"Leave the argument out, or give --quantization {names['config']}: the checkpoint"
            f" decides."
        ),
    )


def unknown_cause(names: Names, scene: Scene) -> str:
    method = names["method"] or names["chosen"] or names["kind"]
    if method in EMPTY:
        return (
            "The checkpoint has a quantization config without quant_method (as ModelOpt 0.31 to"
            " 0.33 wrote"
            " it), so this vLLM takes the empty name for its method."
        )
    vllm = scene.clues.get("vllm")
    return (
        f"This {'vLLM ' + vllm if vllm else 'vLLM (or transformers)'} knows no quantization"
        f" method {method!r}."
    )


def unknown_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    del scene
    method = names["method"] or names["chosen"] or names["kind"]
    if method in EMPTY:
        return NO_METHOD_FIX
    if since := SINCE.get(method):
        return (f"Use a vLLM that has it: {method} exists since {since}.",)
    if names["kind"]:
        return (
            (
                "That message is transformers': load such a checkpoint with vLLM, or with a"
                " transformers that"
                " knows the method (pip install --upgrade transformers)."
            ),
        )
    return (
        (
            "Compare with the names in the message: a misspelt one wants the right name, a new one"
            " a newer vLLM."
        ),
        "vllm-forge inspect CHECKPOINT   # which vLLM versions load it",
    )


SIGNATURES = (
    Signature(
        "quant-method-mismatch",
        kinds(Kind.EXCEPTION),
        pattern(
            r"Quantization method specified in the model config \((?P<config>[^)]*)\) does not"
            r" match the"
            r" quantization method specified in the `?quantization`? argument \("
            r"(?P<argument>[^)]*)\)"
        ),
        mismatch_cause,
        mismatch_fix,
    ),
    Signature(
        "quant-method-mismatch",
        kinds(Kind.EXCEPTION),
        pattern(r"Cannot find the config file for (?P<method>[\w-]+)"),
        "`quantization={method}` was asked for, and the checkpoint carries no quantization config"
        " of it.",
        acts(
            "Leave the quantization argument out for a checkpoint that is not quantized;",
            "for one that is: its hf_quant_config.json or quantization_config is missing from the"
            " folder.",
        ),
    ),
    Signature(
        "quant-method-unknown",
        kinds(Kind.EXCEPTION, Kind.FRONTEND),
        pattern(
            r"(?:Unknown|Invalid) quantization method: (?P<method>[\w.-]*?)\.? ?(?:Must|Available"
            r"|Supported|\[|$)"
            r"|argument --quantization/-q: invalid choice: '(?P<chosen>[^']*)'"
            r"|Unknown quantization type, got (?P<kind>[\w-]+)"
        ),
        unknown_cause,
        unknown_fix,
    ),
    Signature(
        "quant-method-unknown",
        kinds(Kind.EXCEPTION),
        pattern(r"has no `quant_method` attribute"),
        "The checkpoint's quantization config names no quant_method (ModelOpt 0.31 to 0.33 wrote"
        " none).",
        acts(*NO_METHOD_FIX),
    ),
    Signature(
        "quant-method-unknown",
        kinds(Kind.EXCEPTION),
        pattern(r"Cannot find any of \['quantization'\] in the model's quantization config"),
        "This vLLM (0.8, 0.9) reads only the nested form of ModelOpt's config; the checkpoint has"
        " the flat one.",
        acts(
            "vllm-forge repair CHECKPOINT --output FIXED   # writes the form that this vLLM reads",
            "or vLLM 0.10.1 and newer, which read both.",
        ),
    ),
    Signature(
        "quant-algo-unsupported",
        kinds(Kind.EXCEPTION),
        pattern(
            r"ModelOpt currently only supports: (?P<supported>\[[^\]]*\]) ?quantizations in vLLM"
            r"|Unknown ModelOpt quant algo: (?P<algo>[\w-]+)"
            r"|Unsupported ModelOpt[^:\n]*quant\w*(?: algo\w*)?[^:\n]*: (?P<named>[\w-]+)"
        ),
        lambda names, _: (
            "This vLLM does not load the checkpoint's ModelOpt algorithm"
            + (f" {names['algo'] or names['named']}" if names["algo"] or names["named"] else "")
            + (f": it knows {names['supported']}." if names["supported"] else ".")
        ),
        acts(
            "vllm-forge inspect CHECKPOINT   # its algorithm, and which vLLM versions load it",
            DEQUANTIZE,
        ),
    ),
    Signature(
        "quant-algo-unsupported",
        kinds(Kind.EXCEPTION),
        pattern(
            r"(?:NVFP4|MXFP8) quantization requires (?:the following fields in"
            r" hf_quant_config\.json: (?P<fields>\[[^\]]*\])"
            r"|group size and kv_cache_quant_algo)|Missing 'quant_algo' in quantization config"
            r"|MIXED_PRECISION quant_algo requires a non-empty|Expected 'quantization' to be a"
            r" dictionary"
            r"|Unsupported quantization config found for (?P<method>\w+)"
        ),
        "The checkpoint's quantization config lacks what this vLLM asks for {fields}{method}.",
        acts(
            "vllm-forge inspect CHECKPOINT   # what is missing, and which vLLM versions read it"
            " as it is",
            "vllm-forge repair CHECKPOINT --output FIXED",
        ),
    ),
    Signature(
        "quant-algo-unsupported",
        kinds(Kind.EXCEPTION),
        pattern(
            r"quantization supports weight bits \[[\d, ]+\], but got (?P<bits>\d+)|No"
            r" compressed-tensors compatible scheme was found|Currently, only [^\n]*(?:bit"
            r"|weight)[^\n]*"
            r" (?:quantization is )?supported for (?P<method>\w+)|Unsupported quantization"
            r" config: (?P<config>bits=[^\n]*)"
            r"|Failed to find a kernel that can implement the (?P<layer>\w+) linear layer"
            r"|Unsupported (?:quantization|quant) (?:scheme|algo\w*|type)[: ]+(?P<scheme>[\w-]+)"
        ),
        "This vLLM has no kernel for the checkpoint's scheme"
        " {method}{config}{scheme}{bits}{layer}.",
        acts(
            "vllm-forge inspect CHECKPOINT   # its scheme, and which vLLM versions load it",
            "Quantize to a scheme this vLLM has, or use a vLLM that has this one.",
        ),
        unless=pattern(r"Marlin\w+ requires capability"),
    ),
    Signature(
        "quant-algo-unsupported",
        kinds(Kind.EXCEPTION),
        pattern(r"Current platform does not support NVFP4 quantization"),
        "This build or GPU has no NVFP4 kernel and no fallback for it.",
        acts(
            "Build with CUDA 12.8 or newer for capability 10.0 or 12.0, or use a vLLM with the"
            " Marlin fallback.",
            DEQUANTIZE,
        ),
    ),
)
