"""Run by the built environment: load a model with vLLM and generate; one JSON line on stdout.

argv: one JSON object, or the path of a file that holds it, with `model`, `prompts` (texts, or lists
of token ids), `max_tokens`, `arguments` (for `vllm.LLM`) and `ignore_eos` (true when left out:
exactly `max_tokens` tokens come out).
"""

import json
import os
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

# Newer trees sample with FlashInfer on a GPU and import it unasked; this variable is their own word
# for the sampler that torch has. Who left flashinfer out (--without) has nothing else.
if find_spec("flashinfer") is None:
    os.environ.setdefault("VLLM_USE_FLASHINFER_SAMPLER", "0")

started = perf_counter()
from vllm import LLM, SamplingParams  # noqa: E402 -- the import is timed

imported = perf_counter()


def main() -> None:
    """Load, generate greedily, say what came out and how long each part took (seconds)."""
    given = sys.argv[1]
    asked = json.loads(given if given.startswith("{") else Path(given).read_text(encoding="utf-8"))
    engine = LLM(model=asked["model"], **asked["arguments"])
    loaded = perf_counter()
    sampling = SamplingParams(
        temperature=0.0,
        max_tokens=asked["max_tokens"],
        ignore_eos=asked.get("ignore_eos", True),
        detokenize=not asked["arguments"].get("skip_tokenizer_init", False),
    )
    prompts = [
        prompt if isinstance(prompt, str) else {"prompt_token_ids": prompt}
        for prompt in asked["prompts"]
    ]
    answers = engine.generate(prompts, sampling, use_tqdm=False)
    said = {
        "vllm": version("vllm"),
        "outputs": [
            {
                "prompt": prompt,
                "text": answer.outputs[0].text,
                "tokens": len(answer.outputs[0].token_ids),
                "token_ids": list(answer.outputs[0].token_ids),
                "finish_reason": answer.outputs[0].finish_reason,
            }
            for prompt, answer in zip(asked["prompts"], answers, strict=True)
        ],
        "seconds": {
            "import": imported - started,
            "load": loaded - imported,
            "generate": perf_counter() - loaded,
        },
    }
    sys.stdout.write(f"\nvllm-forge-answer {json.dumps(said)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
