"""Who may run a specialized build."""

from collections.abc import Callable
from dataclasses import replace

from vllm_forge.records.checkpoint import (
    Checkpoint,
    Format,
    ModelConfig,
    QuantizationDocument,
    Shape,
    Weights,
)
from vllm_forge.records.release import Release
from vllm_forge.resolve.specialize import made_for_checkpoint, refuse_other_checkpoint


def checkpoint(algorithm: str, architecture: str = "LlamaForCausalLM") -> Checkpoint:
    document = QuantizationDocument(
        *("config.json", (), False, None, algorithm, "modelopt", "0.33.1", "modelopt"),
        *(None, None, None, None, None, False, ()),
    )
    return Checkpoint(
        path="/models/one",
        model=ModelConfig(architectures=(architecture,)),
        format=Format.FP8,
        shape=Shape.FLAT_WITHOUT_METHOD,
        config=document,
        hf_quant_config=None,
        weights=Weights(),
    )


def test_the_same_kind_runs_and_another_is_refused_with_what_differs(
    known_release: Callable[[str], Release],
) -> None:
    release = known_release("0.10.1")
    made_for = made_for_checkpoint(checkpoint("FP8"), release, ("9.0",))
    assert (made_for.method, made_for.algorithms) == ("modelopt", ("FP8",))
    same = replace(checkpoint("FP8"), path="/models/two")
    assert refuse_other_checkpoint(made_for, same, release, ("9.0",)) is None
    assert refuse_other_checkpoint(None, checkpoint("NVFP4"), release, ("9.0",)) is None

    refused = refuse_other_checkpoint(made_for, checkpoint("NVFP4"), release, ("9.0",))
    assert refused is not None
    said = " ".join(reason.fact for reason in refused.because)
    assert "built for the quantization method modelopt, this is modelopt_fp4" in said
    assert "built for the format FP8, this is NVFP4" in said
    assert refused.ways_out[1] == "vllm-forge build --specialize /models/one"


def test_another_gpu_and_another_model_are_refused(
    known_release: Callable[[str], Release],
) -> None:
    release = known_release("0.10.1")
    made_for = made_for_checkpoint(checkpoint("FP8"), release, ("9.0",))
    gpu = refuse_other_checkpoint(made_for, checkpoint("FP8"), release, ("8.9",))
    model = refuse_other_checkpoint(
        made_for, checkpoint("FP8", "Qwen3MoeForCausalLM"), release, ("9.0",)
    )
    assert gpu is not None
    assert "compute capability 9.0, this GPU is 8.9" in gpu.because[1].fact
    assert model is not None
    assert "LlamaForCausalLM, this is Qwen3MoeForCausalLM" in model.because[1].fact
