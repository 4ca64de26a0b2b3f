"""Sources of the projects that vLLM's CMake would fetch."""
