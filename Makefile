# make all     make the environment if it is missing, then run the default experiment
# make main    only its suite main; make compare: it against the paper's values
# make report  everything in one zip to mail: results/report.zip, or REPORT=…
# make audit   hash everything again and hold it against records, code, settings, raw text
# make test    make it if it is missing, then run the tests that take minutes
# make test-all  these and the slow ones: whole experiments, faults, hostile files, a browser
# make test-kill  kill a small experiment at N random moments (SEED=… repeats them)
# make test-slurm  the profile on a real SLURM on this machine (Debian, root)
# make check   formatting, lint, types
# CORES=n      cores to use; ARGS='…' is passed on to snakemake or pytest
# PYTHON=…     a Python 3.11; without it the first of these that is one
SHELL := /bin/bash
IS_3_11 := -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'
PYTHON ?= $(shell for name in python3.11 python3 python; do \
  "$$name" $(IS_3_11) 2>/dev/null && { echo "$$name"; break; }; done)
CORES ?= all
REPORT ?= results/report.zip
N ?= 200
SEED ?= $(shell echo $$RANDOM)
BIN := .venv/bin
PYTEST := $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
READY := .venv/.ready
UNFINISHED := .venv/.unfinished

.PHONY: all main compare report audit test test-all test-kill test-slurm check bench format schema gallery docs clean-environment

all: $(READY)
	$(BIN)/snakemake --cores $(CORES) all $(ARGS)

main compare: $(READY)
	$(BIN)/snakemake --cores $(CORES) $@ $(ARGS)

report: all
	$(BIN)/snakemake --cores $(CORES) provenance --forcerun provenance $(ARGS)
	$(BIN)/snakemake all --report $(REPORT) $(ARGS)

audit: $(READY)
	$(BIN)/zsl audit $(ARGS)

test: $(READY)
	$(PYTEST) -m "not slow" $(ARGS)

test-all: $(READY)
	$(PYTEST) $(ARGS)

# Until it is whole, and has to be as if nothing had happened: tests/faults/kill.py.
test-kill: $(READY)
	$(BIN)/python tests/faults/kill.py $(N) $(SEED)

# Its tests skip, and say why, where SLURM cannot be had.
test-slurm: export ZSL_TEST_SLURM := 1
test-slurm: $(READY)
	$(BIN)/pytest -rs tests/slurm/test_one_machine.py tests/slurm/test_bad_days.py $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

# The quick benchmarks, or those that ARGS names; writes benchmarks/results.
bench: $(READY)
	$(BIN)/python benchmarks/run.py $(ARGS)

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

schema: $(READY)
	$(BIN)/zsl schema > config/schema.json

# The lists and pictures that come from the registry and from mini's results.
gallery: $(READY)
	$(BIN)/python docs/picture.py

# The numbers in README.md and docs/ that come from mini's results; ARGS=--check only looks.
docs: $(READY)
	$(BIN)/python docs/fill.py $(ARGS)

# An interrupted pip can leave half a package that it takes for whole, so what was not finished
# is made anew. Torch comes first: a machine without a GPU may provide a smaller build of the
# same version, and what is installed is not fetched again for the packages that need it.
$(READY): requirements.lock pyproject.toml
	@"$(PYTHON)" $(IS_3_11) 2>/dev/null || { \
	  echo "Python 3.11 is needed (ai2-olmo needs numpy < 2), and" \
	    "$(if $(PYTHON),$(PYTHON) is not one,none was found)." \
	    "Name one with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@if [ -e $(UNFINISHED) ]; then rm -rf .venv; fi
	@mkdir -p .venv && touch $(UNFINISHED)
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' requirements.lock)"
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	@mv $(UNFINISHED) $@

clean-environment:
	rm -rf .venv
