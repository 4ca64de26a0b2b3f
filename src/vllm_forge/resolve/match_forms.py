"""How one release comes to read one form of metadata, step by step as vLLM does it.

vLLM's order (facts read from its tree, `records.release.ModelOptReading`): config.json's
`quantization_config`, else hf_quant_config.json; the producer patch fills in quant_method from the
*nested* form; an override hook turns `modelopt` into the name for the algorithm; `from_config`
parses. Each function says what stands in the way as the changes that remove it.
"""

from dataclasses import dataclass

from vllm_forge.records.checkpoint import Change, Checkpoint, QuantizationDocument, Shape
from vllm_forge.records.decision import Reason
from vllm_forge.records.release import ModelOptReading, QuantizationMethod
from vllm_forge.records.sourced import Sourced
from vllm_forge.resolve.match_algorithms import MIXED, canonical
from vllm_forge.resolve.match_repairs import (
    add_missing_keys,
    copy_excludes,
    copy_layers,
    drop_config,
    flatten,
    nest,
    set_key,
    set_method,
)


@dataclass(frozen=True, slots=True)
class Form:
    """What it takes: `changes` to the files, and the argument, None where vLLM finds it itself."""

    changes: tuple[Change, ...] = ()
    quantization: str | None = None
    because: tuple[Reason, ...] = ()


def form_of(checkpoint: Checkpoint, reading: ModelOptReading, entry: QuantizationMethod) -> Form:
    """`entry` is the registry's name for the algorithm, which the release supports."""
    document = checkpoint.document
    if document is None:
        return Form()
    match checkpoint.shape:
        case Shape.HF_QUANT_CONFIG_ONLY:
            return hf_form(document, reading, entry)
        case Shape.SHADOWED:
            return shadowed_form(checkpoint, document, reading, entry)
        case Shape.NESTED:
            return nested_form(document, reading, entry)
        case _:
            return flat_form(checkpoint, document, reading, entry)


def flat_form(
    checkpoint: Checkpoint,
    document: QuantizationDocument,
    reading: ModelOptReading,
    entry: QuantizationMethod,
) -> Form:
    """quant_algo at the top of config.json's quantization_config."""
    if reading.accepts_flat.value is False:
        return Form(
            nest(checkpoint, document),
            entry.name,
            (
                reason("quant_algo in config.json itself is not understood", reading.accepts_flat),
                Reason(f"the algorithm is read by {entry.name}", entry.source),
            ),
        )
    changes: list[Change] = []
    because: list[Reason] = []
    if document.method is None:
        changes.append(set_method(document, "modelopt", "ModelOpt 0.31 to 0.33 left it out"))
        because.append(without_method(reading))
    elif not reading.overrides_method.value and document.method != entry.name:
        changes.append(set_method(document, entry.name, "this vLLM takes it as it is written"))
        because.append(reason("quant_method is not adapted", reading.overrides_method))
    changes += spelling(document, reading)
    lost = (
        document.excluded_key == "ignore" and document.excluded and not reading.reads_ignore.value
    )
    if lost and "exclude_modules" not in document.keys:
        changes.append(copy_excludes(document, "this vLLM reads exclude_modules, not ignore"))
        because.append(
            reason(
                "ignore is not read: excluded layers would count as quantized", reading.reads_ignore
            )
        )
    if canonical(document.algorithm or "") == MIXED and not document.layers:
        missing, why = layer_map(checkpoint, document, reading)
        changes += missing
        because.append(why)
    return Form(tuple(changes), None, tuple(because))


def without_method(reading: ModelOptReading) -> Reason:
    fate = (
        "the model is taken for an unquantized one and fails while loading"
        if reading.empty_method.value == "unquantized"
        else "vLLM stops with «Unknown quantization method»"
    )
    return reason(f"quantization_config has no quant_method: {fate}", reading.empty_method)


def layer_map(
    checkpoint: Checkpoint, document: QuantizationDocument, reading: ModelOptReading
) -> tuple[tuple[Change, ...], Reason]:
    """ModelOpt 0.35 to 0.42 wrote quantized_layers into hf_quant_config.json alone."""
    other = checkpoint.hf_quant_config
    if other is None or not other.layers:  # the caller has refused a checkpoint without any map
        return (), Reason("quantized_layers stands in config.json", document.file)
    falls_through = reading.mixed_reads_hf_quant_config
    if falls_through.value and other.producer_name == "modelopt":
        return (), reason("quantized_layers is taken from hf_quant_config.json", falls_through)
    return (copy_layers(document, other),), reason(
        "quantized_layers is not looked for in hf_quant_config.json", falls_through
    )


def hf_form(
    document: QuantizationDocument, reading: ModelOptReading, entry: QuantizationMethod
) -> Form:
    """Only hf_quant_config.json."""
    missing = missing_keys(document, reading, entry)
    if not reading.reads_hf_quant_config.value:
        fact = "hf_quant_config.json is read only when quantization is given"
        return Form(
            (*missing, *spelling(document, reading)),
            entry.name,
            (
                reason(fact, reading.reads_hf_quant_config),
                Reason(f"{entry.name} reads {document.algorithm}", entry.source),
            ),
        )
    because = [reason("hf_quant_config.json is read by itself", reading.reads_hf_quant_config)]
    if document.producer_name == "modelopt":
        unknown = not_nested(document, reading)
        if unknown is not None:
            flat = flatten(document, keep_old_key=not reading.reads_ignore.value)
            return Form(flat, None, (*because, unknown))
        return Form((*missing, *spelling(document, reading)), None, tuple(because))
    method = set_method(
        document, "modelopt", "without producer.name nothing marks it as ModelOpt's"
    )
    because.append(reason("producer.name is not modelopt", reading.nested_algorithms))
    return Form((method, *missing, *spelling(document, reading)), None, tuple(because))


def nested_form(
    document: QuantizationDocument, reading: ModelOptReading, entry: QuantizationMethod
) -> Form:
    """The nested form inside config.json, with or without quant_method."""
    missing = missing_keys(document, reading, entry)
    patched = document.producer_name == "modelopt" and bool(reading.nested_algorithms.value)
    if patched:
        unknown = not_nested(document, reading)
        if unknown is not None:
            changes = flatten(document, keep_old_key=not reading.reads_ignore.value)
            return Form(changes, None, (unknown,))
        return Form((*missing, *spelling(document, reading)))
    wanted = "modelopt" if reading.overrides_method.value else entry.name
    method = (document.method or "").lower()
    fits = method == wanted or (wanted == "modelopt" and method.startswith("modelopt"))
    changes = (*missing, *spelling(document, reading))
    if fits:
        return Form(changes)
    why = reason(f"quant_method is {document.method}", reading.overrides_method)
    return Form((set_method(document, wanted, f"{entry.name} reads this"), *changes), None, (why,))


def shadowed_form(
    checkpoint: Checkpoint,
    document: QuantizationDocument,
    reading: ModelOptReading,
    entry: QuantizationMethod,
) -> Form:
    """Take the foreign config away, then as with hf_quant_config.json alone."""
    if checkpoint.config is None:
        return Form()
    below = hf_form(document, reading, entry)
    foreign = f"quant_method {checkpoint.config.method} is not what the tensors are"
    why = Reason("quantization_config in config.json wins over hf_quant_config.json", "config.json")
    drop = drop_config(checkpoint.config, foreign)
    return Form((drop, *below.changes), below.quantization, (why, *below.because))


def not_nested(document: QuantizationDocument, reading: ModelOptReading) -> Reason | None:
    """The producer patch raises «Unknown ModelOpt quant algo» for what it does not list."""
    known = reading.nested_algorithms
    written = document.algorithm or ""
    algorithm = written.upper() if reading.upper_cases_algorithm.value else written
    if known.value is None or algorithm in known.value:
        return None
    if canonical(written) in known.value:  # only misspelled: `spelling` mends it
        return None
    return reason(f"«Unknown ModelOpt quant algo: {written}» in the nested form", known)


def spelling(document: QuantizationDocument, reading: ModelOptReading) -> tuple[Change, ...]:
    """quant_algo as the release compares it."""
    written = document.algorithm or ""
    wanted = canonical(written)
    seen = written.upper() if reading.upper_cases_algorithm.value else written
    if seen == wanted:
        return ()
    return (set_key(document, "quant_algo", wanted, f"vLLM knows {wanted}, not {written}"),)


def missing_keys(
    document: QuantizationDocument, reading: ModelOptReading, entry: QuantizationMethod
) -> tuple[Change, ...]:
    """What the NVFP4 class demands of the nested form."""
    if entry.config_class.value != "ModelOptNvFp4Config":
        return ()
    return add_missing_keys(document, reading.nested_required_keys.value or ())


def reason(fact: str, read: Sourced[bool] | Sourced[str] | Sourced[tuple[str, ...]]) -> Reason:
    return Reason(fact, read.source)
