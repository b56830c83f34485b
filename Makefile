# `make demo` and `make test` do everything on a machine with Python and g++.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One architecture is enough to see that the CUDA sources compile; `make wheel` builds for all.
export TUBESKEL_CUDA_ARCHS ?= 9.0

SOURCES := setup.py pyproject.toml $(shell find csrc -name '*.cpp' -o -name '*.cu' -o -name '*.h')

.PHONY: demo study test test-nnunet gpu-check cuda-archs lint setup build bench bench-docs bench-quick format wheel clean

demo: build
	$(BIN)/python -m experiments run experiments/configs/demo.yaml

# Two generated data sets x three arms x three seeds, a few minutes.
study: build
	$(BIN)/python -m experiments study experiments/configs/study_small.yaml --workers 2

test: build
	$(BIN)/python -m pytest

# nnU-Net wants its own PyTorch, so it has its own environment (6 GB). The libraries that `build` has
# made load there too: they need the same Python, and any PyTorch from 2.10 on.
NNUNET := .venv-nnunet
test-nnunet: build $(NNUNET)/.installed
	OMP_NUM_THREADS=1 $(NNUNET)/bin/python -m pytest tests/nnunet

$(NNUNET)/.installed: requirements-nnunet.txt
	$(PYTHON) -m venv $(NNUNET)
	$(NNUNET)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-nnunet.txt
	$(NNUNET)/bin/python -c "import sysconfig, pathlib; \
	    pathlib.Path(sysconfig.get_path('purelib'), 'tubeskel.pth').write_text('$(CURDIR)')"
	touch $@

# On a machine with a GPU: its own Python with PyTorch is used as it is, nothing is downloaded.
# GPU_CHECK holds options, such as --steps tests bench, or --wheel dist/tubeskel-*.whl.
gpu-check:
	$(PYTHON) -m benchmarks.gpu_check $(GPU_CHECK)

# Registers and shared memory of each kernel on each architecture of a release; none in memory.
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

# The README's overview, the page of all tables and the pictures, from a run of about an hour.
# THREADS=all measures all cores against all cores, into a file of its own.
BENCH := $(BIN)/python -m benchmarks
THREADS ?= 1
ifeq ($(THREADS),1)
RESULTS := benchmarks/results/cpu.json
else
RESULTS := benchmarks/results/cpu-$(THREADS)-threads.json
endif
bench: build $(VENV)/.peers
	$(BENCH) all --threads $(THREADS) --json $(RESULTS)
	$(MAKE) --no-print-directory bench-docs

# Only what is written from the results.
bench-docs: build
	$(BENCH) markdown benchmarks/results/cpu.json --readme README.md --page docs/benchmarks.md
	$(BENCH) figure benchmarks/results/cpu.json --out docs/overview.png --speed docs/speed.png

# All of the benchmarks on light cases: are all results right?
bench-quick: build
	$(BENCH) all --quick

$(VENV)/.peers: $(VENV)/.installed requirements-bench.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	touch $@

wheel: setup
	TUBESKEL_CUDA_ARCHS= $(BIN)/python -m pip wheel --no-build-isolation --no-deps -w dist .

clean:
	rm -rf build dist *.egg-info tubeskel/*.so
	rm -f $(VENV)/.built
