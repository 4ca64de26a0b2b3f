"""Which of a tree's native sources one checkpoint on one GPU can reach: from Python down to files.

Three steps. `python_walk` marks what Python can come to from vLLM's entry points when the model
and the quantization method are known; that gives the operators. `cxx_walk` follows the operators'
functions through the C++ and CUDA sources. `left_out` says which files nothing led to, and why.
Whatever is not understood counts as reached.
"""
