"""One model in the built vLLM: seconds, kernels, text, and the logits of every prompt position.

argv: a JSON object with `model`, `arguments` (for vllm.LLM), `prompts` (lists of token ids),
`tokens` (how many to generate), `vocabulary`, `result` (a .npz to write). One JSON line on stdout.
The engine runs in this process, so that torch's profiler sees its kernels.
"""

import json
import os
import sys
from time import perf_counter

os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
started = perf_counter()
import numpy as np  # noqa: E402
import torch  # noqa: E402
from vllm import LLM, SamplingParams  # noqa: E402 -- the import is timed

imported = perf_counter()


def main() -> None:
    """Load; warm up; generate under the clock; then under the profiler; then the logits."""
    asked = json.loads(sys.argv[1])
    vocabulary = asked["vocabulary"]
    engine = LLM(model=asked["model"], max_logprobs=vocabulary, **asked["arguments"])
    loaded = perf_counter()
    prompts = [{"prompt_token_ids": ids} for ids in asked["prompts"]]
    text = not asked["arguments"].get("skip_tokenizer_init", False)

    def generate(tokens: int, **more: object) -> list:
        sampling = SamplingParams(
            temperature=0.0, max_tokens=tokens, ignore_eos=True, detokenize=text, **more
        )
        return engine.generate(prompts, sampling, use_tqdm=False)

    begun = perf_counter()
    generate(asked["tokens"])
    first = perf_counter() - begun
    times = []
    for _ in range(5):
        begun = perf_counter()
        answers = generate(asked["tokens"])
        times.append(perf_counter() - begun)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        generate(4)
    kernels: dict[str, list[float]] = {}
    for event in profile.events():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            entry = kernels.setdefault(event.name, [0, 0.0])
            entry[0] += 1
            entry[1] += event.device_time
    scored = generate(1, prompt_logprobs=vocabulary)
    rows = []
    for answer in scored:
        for position in answer.prompt_logprobs[1:]:
            row = np.full(vocabulary, np.nan)
            for token, one in position.items():
                row[token] = one.logprob
            rows.append(row)
    np.savez(asked["result"], logprobs=np.array(rows))
    said = {
        "tokens": [list(answer.outputs[0].token_ids) for answer in answers],
        "seconds": {
            "import": imported - started,
            "load": loaded - imported,
            "first generation": first,
            "generation": sorted(times)[2],
        },
        "kernels": sorted(
            ([name, int(count), micros] for name, (count, micros) in kernels.items()),
            key=lambda one: -one[2],
        ),
    }
    sys.stdout.write(f"\nproof-answer {json.dumps(said)}\n")


if __name__ == "__main__":
    main()
