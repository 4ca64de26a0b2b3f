"""What a model directory says: JSON files and safetensors headers. Never weights, never code.

In run order: `read` (the directory) asks `documents` (JSON), `quantization` and `model` (their
meaning) and `weights` (the headers); `lint` compares them with each other; `facts` sums them up.
"""
