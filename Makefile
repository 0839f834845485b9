# Petrel's commands. Everything runs in .venv, which the first of them sets up from requirements.lock.
#
# Needs Python 3.11 or newer with its venv module; Java 17 or newer for the Spark engine.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/petrel-ready

PROCESSES ?= 3
PYTEST := $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

ifdef PYTHONDONTWRITEBYTECODE
# Nothing is written beside the sources, as asked, but what the processes import is compiled once and kept: the tests
# start hundreds of them, and compiling is half of a start.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/bytecode
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo s3-server test test-fast lint types imports check check-long bench bench-loaders lock clean distclean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## install Petrel and all it needs into .venv (PYTHON=python3.12 takes another Python)

$(READY): requirements.lock pyproject.toml setup.py loaders/decoding/_jpeg.c loaders/decoding/_png.c .ci/setup
	@PYTHON='$(PYTHON)' .ci/setup
	@touch $@

demo: $(READY) ## the whole path on handwritten digits (DATA=folder, ENGINE=embedded|spark|both, LAKE=folder or URL)
	@$(BIN)/python -m examples.demo $(if $(DATA),--data '$(DATA)') $(if $(ENGINE),--engine '$(ENGINE)') $(if $(LAKE),--lake '$(LAKE)')

test: $(READY) ## all tests, in three processes (PROCESSES=0: in one; ARGS='-k jars' is handed to pytest)
	-@$(BIN)/python -m tests.buckets.programs
	@$(PYTEST) $(ARGS)

s3-server: $(READY) ## build the S3 server of the tests, once for a machine: needs Go or fetches it, about a minute
	@$(BIN)/python -m tests.buckets.programs --again

test-fast: $(READY) ## tests of everyday work: no Spark, nothing slow, the first of each costly file
	@PETREL_TESTS=fast $(PYTEST) $(ARGS)

lint: $(READY) ## style and likely mistakes: ruff
	@$(BIN)/ruff check .

types: $(READY) ## types: mypy --strict
	@$(BIN)/mypy

imports: $(READY) ## direction of imports between the packages: import-linter
	@$(BIN)/lint-imports

check: lint types imports test ## everything that CI checks

check-long: lint types imports ## the same, with all examples of the random tests
	-@$(BIN)/python -m tests.buckets.programs
	@PETREL_TESTS=long $(PYTEST) $(ARGS)

bench: $(READY) ## measure ingestion against a plain loop (ARGS=--quick)
	@$(BIN)/python -m benchmarks.ingest $(ARGS)

bench-loaders: $(READY) ## measure the loader beside its peers (ARGS=--setup first, then ARGS=--quick)
	@$(BIN)/python -m benchmarks.loaders $(ARGS)

lock: $(READY) ## resolve requirements.lock anew (ARGS=--upgrade raises what pyproject.toml allows)
	@.ci/lock $(ARGS)

clean: ## remove the demo's lakes and what tools left behind
	@rm -rf .demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build spark-warehouse
	@rm -rf .venv/lib/python*/site-packages/pyspark/work # of local-cluster masters
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## also remove .venv
	@rm -rf .venv petrel_lakehouse.egg-info
