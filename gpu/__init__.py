"""The proof on a real GPU: what to carry to an air-gapped machine, and what to do there."""
