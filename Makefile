# Two commands set everything up: `make demo` and `make test`. Both need Python 3.11+ and pip only.
PYTHON ?= python3
VENV ?= .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Processes that run the tests; files of tests stay whole.
WORKERS ?= 2
SOURCES := pyproject.toml setup.py constraints.txt src/glyph/_kernel.c src/glyph/_linebreak.h

.PHONY: demo test check format clean

demo: $(VENV)/.demo
	$(BIN)/glyph demo --out demo

test: check
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python $(SOURCES)
	$(PIP) -e .
	touch $@

$(VENV)/.dev: $(BIN)/python $(SOURCES)
	$(PIP) -e ".[dev]"
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) build dist demo .pytest_cache .ruff_cache .hypothesis src/*.egg-info
	rm -f src/glyph/_kernel*.so src/glyph/_kernel*.pyd
