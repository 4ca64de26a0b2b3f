# A bare machine needs Python 3.11 or newer with pip, g++, git and make; everything else is brought.
# pip installs (it knows your index); uv makes the environment (Debian's Python may lack venv).
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(PYTHON) -m pip --disable-pip-version-check --quiet

.PHONY: up test acceptance acceptance-cuda test-quick lint bench bench-explain release-table clean

up: $(VENV)/forge.ready ## the main job: from this machine to text from a vLLM built from source
	$(BIN)/vllm-forge up $(ARGS)

test: lint ## every check and test, the real CPU build with generation included
	$(BIN)/pytest -m "not gpu and not acceptance" $(ARGS)

acceptance: $(VENV)/dev.ready ## ModelOpt's own exporters in environments of their own, about ten minutes
	$(BIN)/pytest -m acceptance $(ARGS)

acceptance-cuda: $(VENV)/forge.ready ## the recipe's CUDA build from nothing, and its proof: an hour on two cores
	$(BIN)/vllm-forge build --vllm 0.10.1 --cuda 12.4 --gpu-arch 8.9 --torch 2.7.1 $(ARGS)
	$(BIN)/vllm-forge verify
	$(BIN)/vllm-forge report

test-quick: $(VENV)/dev.ready ## values only: no network, no compiler
	$(BIN)/pytest -m "not network and not compile and not slow and not gpu" tests/unit $(ARGS)

lint: $(VENV)/dev.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/dev.ready ## ratios and bounds, measured in one run
	$(BIN)/python -m scripts.bench $(ARGS)

bench-explain: $(VENV)/dev.ready
	$(BIN)/python scripts/bench_explain.py $(ARGS)

release-table: $(VENV)/dev.ready ## read every release on the index again
	$(BIN)/python -m scripts.release_table
	$(BIN)/python -m scripts.torch_table

$(VENV)/bin/python:
	$(PIP) install --upgrade --target .forge/uv uv
	.forge/uv/bin/uv venv --quiet --python "$$(command -v $(PYTHON))" $(VENV)

$(VENV)/forge.ready: pyproject.toml | $(VENV)/bin/python
	$(PIP) --python $(VENV)/bin/python install --editable .
	touch $@

$(VENV)/dev.ready: pyproject.toml | $(VENV)/bin/python
	$(PIP) --python $(VENV)/bin/python install --editable ".[dev]"
	touch $@ $(VENV)/forge.ready

clean:
	rm -rf $(VENV) .forge
