"""What a vLLM source tree says, read statically: nothing of it is imported or run."""
