"""Logits of a plain checkpoint by transformers in float32 on the GPU: no code of vLLM in it.

argv: model folder, JSON list of prompts (lists of token ids), the .npz to write.
"""

import json
import sys

import numpy as np
import torch
from transformers import AutoModelForCausalLM


def main() -> None:
    """Log-probabilities at every position but the last, prompts one after the other."""
    torch.backends.cuda.matmul.allow_tf32 = False
    model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).cuda().eval()
    rows = []
    with torch.inference_mode():
        for prompt in json.loads(sys.argv[2]):
            logits = model(torch.tensor([prompt], device="cuda")).logits[0, :-1]
            rows.append(torch.log_softmax(logits.double(), -1).cpu().numpy())
    np.savez(sys.argv[3], logprobs=np.concatenate(rows))


if __name__ == "__main__":
    main()
