# Two commands: `make run` serves the demo, `make test` proves the tree. Each sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test style types bench deps lock clean

run: .venv/run
	$(BIN)/firstbyte demo

test: .venv/dev deps style types
	$(BIN)/pytest --cov --cov-report=term

style: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev
	$(BIN)/mypy

bench: .venv/dev
	$(BIN)/python -m bench

# System programs that some tests drive (Chromium). Does nothing where they are there; says so where they cannot be had.
deps:
	@sh scripts/deps.sh

# Writes the locked development requirements anew from their ranges.
lock: .venv/dev
	$(BIN)/pip-compile -q --strip-extras --no-emit-find-links --no-emit-index-url --no-header -o requirements-dev.txt requirements-dev.in pyproject.toml

clean:
	rm -rf .venv build dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -m venv .venv || sh scripts/deps.sh venv "$(PYTHON)"

.venv/run: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -q -e .
	@touch $@

.venv/dev: pyproject.toml requirements-dev.txt | .venv/bin/python
	$(BIN)/python -m pip install -q -r requirements-dev.txt
	$(BIN)/python -m pip install -q --no-deps -e .
	@touch $@ .venv/run
