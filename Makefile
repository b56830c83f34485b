# `make demo` and `make test` do everything on a machine with Python and g++.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One architecture is enough to see that the CUDA sources compile; `make wheel` builds for all.
export TUBESKEL_CUDA_ARCHS ?= 9.0

SOURCES := setup.py pyproject.toml $(shell find csrc -name '*.cpp' -o -name '*.cu' -o -name '*.h')

.PHONY: demo test lint setup build bench format wheel clean

demo: build
	$(BIN)/python -m experiments run experiments/configs/demo.yaml

test: build
	$(BIN)/python -m pytest

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

# The README's table and picture, from a benchmark run of about ten minutes.
RESULTS := $(foreach what,thin tube loss,benchmarks/results/cpu-$(what).json)
bench: build
	for what in thin tube loss; do \
	    $(BIN)/python -m benchmarks $$what --json benchmarks/results/cpu-$$what.json || exit 1; done
	$(BIN)/python -m benchmarks markdown $(RESULTS) --readme README.md
	$(BIN)/python -m benchmarks figure $(RESULTS) --out docs/overview.png

wheel: setup
	TUBESKEL_CUDA_ARCHS= $(BIN)/python -m pip wheel --no-build-isolation --no-deps -w dist .

clean:
	rm -rf build dist *.egg-info tubeskel/*.so
	rm -f $(VENV)/.built
