"""CUDA toolkits without root: made from packages into an ordinary prefix under the home."""
