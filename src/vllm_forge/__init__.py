"""vllm-forge: from a bare Linux machine to a vLLM built from source that runs your checkpoint."""

__version__ = "0.1.0"
