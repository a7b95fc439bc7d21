# `make quickstart` and `make test` do everything on a fresh machine with Python 3.11 or newer.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

# A file of tests stays in one process, with what it builds once: a cluster, a study, a checkpoint.
PROCESSES ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile

.PHONY: quickstart test test-fast lint types clean

quickstart: $(VENV)/installed  ## the whole story, offline, in minutes; then open quickstart/report.html
	$(BIN)/gendata quickstart --out quickstart

test: lint types  ## lint, types and every test that can run here
	$(PYTEST)

test-fast: $(VENV)/installed-dev  ## the tests that take seconds
	$(PYTEST) -m "not slow and not cluster"

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-dev
	$(BIN)/mypy

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$@ -m pip install --quiet --upgrade pip

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
