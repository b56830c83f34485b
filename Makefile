# `make demo` and `make test` do everything on a machine with Python and g++.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One architecture is enough to see that the CUDA sources compile; `make wheel` builds for all.
export TUBESKEL_CUDA_ARCHS ?= 9.0

SOURCES := setup.py pyproject.toml $(shell find csrc -name '*.cpp' -o -name '*.cu' -o -name '*.h')

.PHONY: demo test gpu-check cuda-archs lint setup build bench format wheel clean

demo: build
	$(BIN)/python -m experiments run experiments/configs/demo.yaml

test: build
	$(BIN)/python -m pytest

# On a machine with a GPU: its own Python with PyTorch is used as it is, nothing is downloaded.
# GPU_CHECK holds options, such as --steps tests bench, or --wheel dist/tubeskel-*.whl.
gpu-check:
	$(PYTHON) -m benchmarks.gpu_check $(GPU_CHECK)

# Registers and shared memory of each kernel on each architecture of a release; no spills.
cuda-archs: setup
	$(BIN)/python csrc/cuda/resources.py

lint: build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(shell find csrc tests -name '*.cpp' -o -name '*.cu' -o -name '*.h')
	$(BIN)/mypy

format:
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(shell find csrc tests -name '*.cpp' -o -name '*.cu' -o -name '*.h')

setup: $(VENV)/.installed
build: $(VENV)/.built

$(VENV)/.installed: requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

$(VENV)/.built: $(VENV)/.installed $(SOURCES)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -e .
	touch $@

# The README's table and picture, from a benchmark run of about twenty minutes.
BENCH := $(BIN)/python -m benchmarks
RESULTS := $(foreach what,thin thin3d tube tube3d loss,benchmarks/results/cpu-$(what).json)
bench: build $(VENV)/.peers
	$(BENCH) thin --json benchmarks/results/cpu-thin.json
	$(BENCH) thin --dims 3 --json benchmarks/results/cpu-thin3d.json
	$(BENCH) tube --json benchmarks/results/cpu-tube.json
	$(BENCH) tube --dims 3 --json benchmarks/results/cpu-tube3d.json
	$(BENCH) loss --json benchmarks/results/cpu-loss.json
	$(BENCH) markdown $(RESULTS) --readme README.md
	$(BENCH) figure $(RESULTS) --out docs/overview.png

$(VENV)/.peers: $(VENV)/.installed requirements-bench.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	touch $@

wheel: setup
	TUBESKEL_CUDA_ARCHS= $(BIN)/python -m pip wheel --no-build-isolation --no-deps -w dist .

clean:
	rm -rf build dist *.egg-info tubeskel/*.so
	rm -f $(VENV)/.built
