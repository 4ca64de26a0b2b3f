"""What a model directory says: config, quantization config, safetensors headers; never its code."""
