"""Whole screens of inspect and repair."""

import io
from dataclasses import replace
from pathlib import Path

from inline_snapshot import snapshot
from rich.console import Console

from vllm_forge.checkpoint.facts import facts_of
from vllm_forge.checkpoint.lint import lint
from vllm_forge.checkpoint.read import read_checkpoint
from vllm_forge.records.checkpoint import (
    Act,
    Change,
    DequantizedTensor,
    Verdict,
    VerdictWord,
)
from vllm_forge.records.decision import Reason
from vllm_forge.show.checkpoint import (
    count_words,
    render_changes,
    render_checkpoint,
    render_dequantized,
)

DATA = Path(__file__).parents[2] / "data" / "checkpoints"


def screen(name: str) -> str:
    checkpoint = replace(read_checkpoint(DATA / name), path="CHECKPOINT")
    verdicts = [
        Verdict(
            "0.10.1", VerdictWord.REPAIR, None, (Reason("quant_method is missing", "config.json"),)
        ),
        Verdict("0.8.5", VerdictWord.ARGUMENT, "modelopt", (Reason("not read by itself", "x"),)),
    ]
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(render_checkpoint(facts_of(checkpoint), lint(checkpoint, {}), verdicts))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def test_an_export() -> None:
    assert screen("export-0.33.1-fp8") == snapshot("""\
Model      LlamaForCausalLM · llama
Format     fp8
Made by    modelopt 0.33.1
Metadata   quantization_config in config.json, without quant_method
Excluded   lm_head
Weights    1.44 M parameters · 1.6 MiB in 1 file
Bytes      F8_E4M3 1.1 MiB · BF16 514.5 KiB · F32 112 B
Tokenizer  tokenizer.json, tokenizer_config.json

   error config.json has a quantization_config without quant_method, which no vLLM accepts: 0.10 and
         before stop, later ones load the model as if it were not quantized  [quant-method-missing]
         config.json: quant_algo is FP8, quant_method is not there
         producer.version is 0.33.1; ModelOpt 0.31 to 0.33 wrote this form
     fix vllm-forge repair CHECKPOINT --output DIR

vLLM 0.10.1  repair    quant_method is missing
vLLM 0.8.5   argument  --quantization modelopt; not read by itself\
""")


def test_a_mixed_checkpoint_of_metadata() -> None:
    assert screen("published/nvidia--Qwen3.6-27B-NVFP4") == snapshot("""\
Model      Qwen3_5ForConditionalGeneration · unknown
Format     mixed · quant_algo MIXED_PRECISION
Layers     208 FP8 · 193 W4A16_NVFP4
Made by    modelopt 0.45.0
Metadata   quantization_config in config.json
KV cache   FP8
Excluded   mtp*, mtp.layers.0*
Tokenizer  none

 warning there are no safetensors files here: only the metadata was checked  [weights-missing]
         no *.safetensors in the folder
     fix fetch the whole checkpoint before running it

 warning there is no tokenizer: text can be neither read nor written with this folder alone
         [tokenizer-missing]
         none of tokenizer.json, tokenizer.model, tokenizer_config.json, vocab.json
     fix copy the tokenizer files of the original model into the folder
     fix or pass --tokenizer MODEL to vLLM

vLLM 0.10.1  repair    quant_method is missing
vLLM 0.8.5   argument  --quantization modelopt; not read by itself\
""")


def test_changes() -> None:
    changes = [
        Change("config.json", ("quantization_config", "quant_method"), Act.SET, "why", "modelopt"),
        Change("hf_quant_config.json", (), Act.REMOVE, "it contradicts"),
        Change("config.json", ("a",), Act.COPY, "old key", None, "config.json", ("a", "ignore")),
        Change("config.json", ("a",), Act.SET, "long", {"quant_method": "modelopt"}),
    ]
    assert render_changes(changes, "DIR") == snapshot(
        [
            "DIR: 4 changes",
            "  config.json: quantization_config.quant_method = modelopt (why)",
            "  hf_quant_config.json removed (it contradicts)",
            "  config.json: a copied from config.json: a.ignore (old key)",
            "  config.json: a = written (long)",
        ]
    )
    assert render_changes([], "DIR") == ["DIR: nothing to change"]


def test_dequantized() -> None:
    tensors = [DequantizedTensor(name, "FP8", (1,), "f") for name in "ab"]
    tensors.append(DequantizedTensor("c", "NVFP4", (1,), "f"))
    assert render_dequantized(tensors, "DIR") == [
        "DIR: 3 weights unpacked to BF16 (2 FP8, 1 NVFP4)"
    ]


def test_counts() -> None:
    assert [count_words(n) for n in (12, 852_736, 8_030_261_248)] == ["12", "853 K", "8.03 B"]
