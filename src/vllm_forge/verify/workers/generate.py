"""Run by the built environment: load a model with vLLM and generate; one JSON line on stdout.

argv: one JSON object with `model`, `prompts`, `max_tokens`, `arguments` (for `vllm.LLM`).
"""

import json
import sys
from importlib.metadata import version
from time import perf_counter

started = perf_counter()
from vllm import LLM, SamplingParams  # noqa: E402 -- the import is timed

imported = perf_counter()


def main() -> None:
    """Load, generate greedily, say what came out and how long each part took (seconds)."""
    asked = json.loads(sys.argv[1])
    engine = LLM(model=asked["model"], **asked["arguments"])
    loaded = perf_counter()
    sampling = SamplingParams(temperature=0.0, max_tokens=asked["max_tokens"], ignore_eos=True)
    answers = engine.generate(asked["prompts"], sampling, use_tqdm=False)
    said = {
        "vllm": version("vllm"),
        "outputs": [
            {"text": answer.outputs[0].text, "tokens": len(answer.outputs[0].token_ids)}
            for answer in answers
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
