# davd: everything that can be done with the tree. `make` alone prints the list.
#
# Variables:  PYTHON=python3   interpreter the virtual environment is made with (3.11 or newer)
#             VENV=.venv       where it is made
#             SHARED=../shared folder of test vectors; what needs it is skipped where it is missing
#             ONLY='x_*'       conformance: only streams whose name matches
#             CC=cc            compiler of the sanitizer builds; SEEDS="1 2 3": of the damage that is done
#             CLANG=clang-14   compiler of the fuzzers; SECONDS=60: how long each of them runs
#             SOURCE= WORK=    dataset: raw videos, and where to make things; more in data/Makefile
#             VIDEO=my.mp4     demo: the video to repair; REFERENCE=its.mp4 where a clean one is at hand
#             OUT=demo-out     demo: where to

PYTHON ?= python3
VENV   ?= .venv
SHARED ?= ../shared
ONLY   ?= *
SEEDS  ?= 1 2 3
SECONDS ?= 60
CLANG  ?= $(shell for c in clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14; do command -v $$c && break; done)
CLIP   := demo/talking-head.mp4
VIDEO  ?= $(CLIP)
OUT    ?= demo-out
REFERENCE ?= $(if $(filter $(CLIP),$(VIDEO)),demo/talking-head-clean.mp4)
BIN    := $(VENV)/bin
CORE   := $(wildcard bitstream/*/*.[ch] bitstream/*/*/*.[ch] bitstream/*.pyx)
export DAVD_SHARED := $(abspath $(SHARED))
# small streams are to go the way of large ones
LARGE := -DH264_LARGE_TAPS=0 -DHEVC_LARGE_TAPS=0
CHECK := -g -O1 -std=c11 -Wall -Wextra -Wconversion -Werror -pthread $(LARGE) -Ibitstream/h264 -Ibitstream/priors
SANITIZE := $(CHECK) -fsanitize=address,undefined -fno-sanitize-recover=undefined
HARNESSES := stream unit packets memory
FUZZERS := $(HARNESSES:%=build/fuzz/fuzz_%) $(HARNESSES:%=build/fuzz/fuzz_hevc_%)
FUZZ_FLAGS = -max_total_time=$(SECONDS) -timeout=60 -rss_limit_mb=2048 -max_len=8192 -print_final_stats=1 \
	-artifact_prefix=build/fuzz/
FUZZED = -g -O2 -std=c11 -pthread $(LARGE) -fsanitize=address,undefined -fno-sanitize-recover=undefined -Ibuild/fuzz
FUZZ_OBJECTS := $(patsubst bitstream/%.c,build/fuzz/%.o,$(filter bitstream/h264/%.c bitstream/hevc/%.c bitstream/coding/%.c,$(CORE)))
CHECKED := $(patsubst bitstream/%.c,build/checked/%.o,$(filter %.c,$(CORE)))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY: $(FUZZ_OBJECTS)
.PHONY: help setup demo test check-c portable damage fuzz lint docs types conformance bench dataset wheel lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16

setup: $(VENV)/.davd-built  ## virtual environment with davd built in it (other targets call it)

$(VENV)/.davd-env: pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c "import ensurepip, os, sysconfig as s; os.stat(s.get_path('include') + '/Python.h')" 2>/dev/null || \
		{ echo "On Debian and Ubuntu: apt-get install python3-venv python3-dev"; exit 1; }
	@echo "Setting up $(VENV) and building davd: a few minutes the first time."
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt "setuptools>=77" wheel "Cython>=3.1" "numpy>=2.0"
	touch $@

$(VENV)/.davd-built: $(VENV)/.davd-env setup.py $(CORE)
	$(BIN)/pip install -q -c constraints.txt --no-build-isolation -e ".[data,train,dev]"
	touch $@

demo: setup  ## extract, inspect and restore the bundled clip (VIDEO=my.mp4: yours) into demo-out/
	@BIN="$(BIN)" OUT="$(OUT)" REFERENCE="$(REFERENCE)" demo/run.sh "$(VIDEO)"

test: setup  ## all tests, the sanitizer run of the C core among them
	@$(MAKE) --no-print-directory -j2 check-c
	$(BIN)/python -m pytest

check-c: build/core_test build/decode_main build/decode_threads setup  ## the C core under address, undefined-behaviour and thread sanitizers
	build/core_test
	$(BIN)/python tests/sanitize.py build/decode_main $(CLIP)
	$(BIN)/python tests/sanitize.py build/decode_threads $(CLIP) 3

portable: setup  ## the core for Windows, macOS and aarch64: compiled, and tested where qemu-user is (pip install ziglang)
	tests/portable.sh $(BIN)/python $(CLIP)

damage: build/decode_main  ## every stream of SHARED/vectors under sanitizers, whole and damaged (SEEDS="1 2 3")
	build/decode_main $(SHARED)/vectors/streams/*.*
	build/decode_main -p $(SHARED)/vectors/streams/*.*
	for seed in $(SEEDS); do build/decode_main -s $$seed $(SHARED)/vectors/streams/*.* || exit 1; done

fuzz: setup $(if $(CLANG),$(FUZZERS))  ## libFuzzer over both cores, SECONDS=60 for each of eight harnesses, then FFmpeg beside it
	@test -n "$(CLANG)" || { echo "make fuzz needs clang with libFuzzer: apt-get install clang-14 libclang-rt-14-dev"; exit 1; }
	for h in $(HARNESSES) $(HARNESSES:%=hevc_%); do \
		build/fuzz/fuzz_$$h $(FUZZ_FLAGS) build/fuzz/corpus/$$h || exit 1; done
	$(BIN)/python tests/fuzz/differential.py --seconds $(SECONDS) build/fuzz/corpus/stream

build/fuzz/sets.h: tests/fuzz/seeds.py tests/bitwriter.py
	@mkdir -p $(@D)
	$(BIN)/python tests/fuzz/seeds.py build/fuzz $(SHARED)/vectors $(SHARED)/vectors-hevc

build/fuzz/%.o: bitstream/%.c $(filter %.h,$(CORE))
	@mkdir -p $(@D)
	@$(CLANG) $(FUZZED) -Ibitstream/h264 -fsanitize=fuzzer-no-link -c $< -o $@

build/fuzz/fuzz_%: $(wildcard tests/fuzz/*.[ch]) build/fuzz/sets.h $(FUZZ_OBJECTS)
	@$(CLANG) $(FUZZED) $(if $(filter hevc_%,$*),-Ibitstream/hevc -DFUZZ_HEVC,-Ibitstream/h264) \
		-fsanitize=fuzzer -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free \
		-DHARNESS=HARNESS_$(shell echo $(*:hevc_%=%) | tr a-z A-Z) \
		$(filter-out %.h $(if $(filter %packets,$*),%/mutate.c),$^) -o $@

build/core_test: $(wildcard tests/core*) $(CHECKED)
	$(CC) $(SANITIZE) $(filter %.c %.o,$^) -o $@

build/decode_main: tests/decode_main.c $(CHECKED)
	$(CC) $(SANITIZE) $(filter %.c %.o,$^) -o $@

build/decode_threads: tests/decode_main.c $(filter bitstream/h264/% bitstream/coding/%,$(CORE))
	@mkdir -p $(@D)
	$(CC) $(CHECK) -fsanitize=thread $(filter %.c,$^) -o $@

build/checked/%.o: bitstream/%.c $(filter %.h,$(CORE))
	@mkdir -p $(@D)
	@$(CC) $(SANITIZE) -c $< -o $@

lint: setup  ## style of Python and C
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(filter %.c %.h,$(CORE)) $(wildcard tests/*.c tests/*.h tests/fuzz/*.c)

types: wheel  ## mypy on the wheel as installed (through an editable install it sees no mapped folder)
	rm -rf build/site
	$(BIN)/pip install -q --no-deps --no-compile --target build/site dist/*.whl
	MYPYPATH=build/site $(BIN)/mypy --cache-dir build/mypy build/site/davd

docs: setup  ## reference of the Python interface in build/reference, its links checked
	$(BIN)/python docs/reference.py -o build/reference

conformance: setup  ## every stream of SHARED/vectors against its golden digests (ONLY='x_*' for some)
	$(BIN)/python -m benchmarks.conformance --vectors $(SHARED)/vectors --only '$(ONLY)'
	$(BIN)/python -m benchmarks.hevc --vectors $(SHARED)/vectors-hevc --only '$(ONLY)'

bench: setup  ## speed: extraction against FFmpeg, a clip of the pipeline, networks, restoring a file
	$(BIN)/python -m benchmarks.extract
	$(BIN)/python -m benchmarks.loader
	$(BIN)/python -m benchmarks.hevc --speed
	$(BIN)/python -m benchmarks.prepare
	$(BIN)/python -m benchmarks.networks
	$(BIN)/python -m benchmarks.restore
	$(BIN)/python -m benchmarks.view

dataset: setup  ## raw videos to priors: SOURCE=dir WORK=dir [CODEC=hevc] [SIZE=128] [CRF="42 45"] -j2
	@$(MAKE) --no-print-directory -f data/Makefile PREPARE=$(BIN)/davd-prepare

gpu-pack: setup  ## WORK=dir in one folder PACK=gpu-pack of at most 50 MB that trains elsewhere: run.py
	$(BIN)/python -m davd.data.pack $(WORK) $(or $(PACK),gpu-pack) --crf $(or $(CRF),42 45)

wheel: setup  ## source distribution and wheel in dist/
	@mkdir -p build && rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist . >build/wheel.log 2>&1 || (cat build/wheel.log; exit 1)
	@ls -l dist

lock: setup  ## requirements.lock: the exact versions that are installed here
	$(BIN)/python docs/lock.py > requirements.lock

clean:  ## what was built, not the virtual environment
	rm -rf build dist *.egg-info bitstream/_*.c bitstream/_*.so .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
