# make all     make the environment if it is missing, then run the default experiment
# make test    make it if it is missing, then run the tests
# make check   formatting, lint, types
# CORES=n      cores to use; ARGS='…' is passed on to snakemake or pytest
SHELL := /bin/bash
PYTHON ?= python3
CORES ?= all
BIN := .venv/bin
READY := .venv/.ready

.PHONY: all test check format schema clean-environment

all: $(READY)
	$(BIN)/snakemake --cores $(CORES) $(ARGS) all

test: $(READY)
	$(BIN)/pytest $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

schema: $(READY)
	$(BIN)/zsl schema > config/schema.json

# torch first: a machine without a GPU may provide a smaller build of the same version, and
# what is installed already is not fetched again for the packages that need it.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "Python 3.11 is needed (ai2-olmo needs numpy < 2); found $$($(PYTHON) --version)." \
	    "Name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "$$(grep -i '^torch==' requirements.lock)"
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps -e .
	@touch $@

clean-environment:
	rm -rf .venv
