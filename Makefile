# davd: everything that can be done with the tree. `make` alone prints the list.
#
# Variables:  PYTHON=python3   interpreter the virtual environment is made with (3.11 or newer)
#             VENV=.venv       where it is made
#             SHARED=../shared folder of test vectors; what needs it is skipped where it is missing
#             ONLY='x_*'       conformance: only streams whose name matches
#             CC=cc            compiler of the sanitizer builds; SEEDS="1 2 3": of the damage that fuzz does
#             SOURCE= WORK=    dataset: raw videos, and where to make things; more in data/Makefile

PYTHON ?= python3
VENV   ?= .venv
SHARED ?= ../shared
ONLY   ?= *
SEEDS  ?= 1 2 3
BIN    := $(VENV)/bin
CORE   := $(filter-out bitstream/_core.c,$(wildcard bitstream/*.c bitstream/*.h)) bitstream/_core.pyx
export DAVD_SHARED := $(abspath $(SHARED))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup test check-c fuzz lint types conformance bench dataset wheel clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16

setup: $(VENV)/.davd-built  ## virtual environment with davd built in it (other targets call it)

$(VENV)/.davd-env: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt "setuptools>=77" wheel "Cython>=3.1" "numpy>=2.0"
	touch $@

$(VENV)/.davd-built: $(VENV)/.davd-env setup.py $(CORE)
	$(BIN)/pip install -q -c constraints.txt --no-build-isolation -e ".[all,dev]"
	touch $@

test: setup  ## all tests
	$(BIN)/python -m pytest

check-c: build/core_test  ## unit checks of the C core under address and undefined-behaviour sanitizers
	build/core_test

build/core_test: $(filter %.c %.h,$(CORE)) $(wildcard tests/core*)
	mkdir -p build
	$(CC) -g -O1 -std=c11 -Wall -Wextra -Wconversion -Werror -fsanitize=address,undefined \
		-fno-sanitize-recover=undefined -Ibitstream $(filter %.c,$^) -o $@

fuzz: build/decode_main  ## every stream of SHARED/vectors under sanitizers, whole and damaged (SEEDS="1 2 3")
	build/decode_main $(SHARED)/vectors/streams/*.*
	build/decode_main -p $(SHARED)/vectors/streams/*.*
	for seed in $(SEEDS); do build/decode_main -s $$seed $(SHARED)/vectors/streams/*.* || exit 1; done

build/decode_main: $(filter %.c %.h,$(CORE)) tests/decode_main.c
	mkdir -p build
	$(CC) -g -O1 -std=c11 -Wall -Wextra -Wconversion -Werror -fsanitize=address,undefined \
		-fno-sanitize-recover=undefined -Ibitstream $(filter %.c,$^) -o $@

lint: setup  ## style of Python and C
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(filter %.c %.h,$(CORE))

conformance: setup  ## every stream of SHARED/vectors against its golden digests (ONLY='x_*' for some)
	$(BIN)/python -m benchmarks.conformance --vectors $(SHARED)/vectors --only '$(ONLY)'

bench: setup  ## speed of extraction against FFmpeg on one thread; cost of a clip, step by step
	$(BIN)/python -m benchmarks.extract
	$(BIN)/python -m benchmarks.prepare

dataset: setup  ## raw videos to priors: SOURCE=dir WORK=dir [SIZE=128] [CRF="42 45"] -j2, resumable
	@$(MAKE) --no-print-directory -f data/Makefile PREPARE=$(BIN)/davd-prepare

wheel: setup  ## source distribution and wheel in dist/
	$(BIN)/python -m build --outdir dist .

clean:  ## what was built, not the virtual environment
	rm -rf build dist *.egg-info bitstream/_core.c bitstream/_core.*.so .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
