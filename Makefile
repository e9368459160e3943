# Two commands: `make run` serves the demo, `make test` proves the tree. Each sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin
SECONDS ?= 60

# The tests start hundreds of Python programs: none of them is to compile again what the one before has.
unexport PYTHONDONTWRITEBYTECODE

SOURCES := setup.py $(shell find src -name '*.py' -o -name '*.pxd' -o -name '*.pyx')

.PHONY: run test plain compiled collected style types coverage bench fuzz wheel deps lock clean

run: .venv/run
	$(BIN)/firstbyte demo

# What needs no other comes together: one processor would stand still while the other looks at the types.
test: style
	$(MAKE) --no-print-directory --jobs=2 --output-sync types collected .venv/compiled
	$(MAKE) --no-print-directory plain compiled

# The same tests twice: plain Python, and compiled, which fails if it is not. Most of them wait: so several at once.
TOGETHER := -q -n 4 --dist worksteal

plain: .venv/dev deps
	FIRSTBYTE_PURE=1 $(BIN)/pytest $(TOGETHER)

compiled: .venv/compiled
	FIRSTBYTE_REQUIRE_COMPILED=1 $(BIN)/pytest $(TOGETHER)

# Which lines the tests of plain Python run.
coverage: .venv/dev deps
	FIRSTBYTE_PURE=1 $(BIN)/pytest $(TOGETHER) --cov --cov-report=term

# Writes the tests' bytecode, or each of the workers would rewrite their assertions for itself.
collected: .venv/dev
	FIRSTBYTE_PURE=1 $(BIN)/pytest -q --collect-only >.venv/collected || (cat .venv/collected; false)

style: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev
	$(BIN)/mypy

bench: .venv/compiled
	$(BIN)/python -m bench
	$(BIN)/python -m bench.client
	$(BIN)/python -m bench.websocket
	$(BIN)/python -m bench.rooms
	$(BIN)/python -m bench.start
	$(BIN)/python -m bench.first_answer

# Looks for inputs that the two bodies of the reader, or two cuts of the same bytes, tell differently: make fuzz SECONDS=60
fuzz: .venv/compiled
	$(BIN)/python -m pip install -q "atheris>=2.3,<4"
	$(BIN)/python -m fuzz $(SECONDS) requests
	$(BIN)/python -m fuzz $(SECONDS) websocket

# A wheel and an sdist in dist/; the sdist installs with and without a compiler.
wheel: .venv/dev
	FIRSTBYTE_REQUIRE_COMPILED=1 $(BIN)/python -m build -q

# System programs that some tests drive (Chromium). Does nothing where they are there; says so where they cannot be had.
deps:
	@sh scripts/deps.sh

# Writes the locked development requirements anew from their ranges.
lock: .venv/dev
	$(BIN)/pip-compile -q --strip-extras --no-emit-find-links --no-emit-index-url --no-header -o requirements-dev.txt requirements-dev.in pyproject.toml

clean:
	rm -rf .venv build dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis src/*.egg-info
	find src -name '*.so' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -m venv .venv || sh scripts/deps.sh venv "$(PYTHON)"

.venv/run: pyproject.toml | .venv/bin/python
	FIRSTBYTE_PURE=1 $(BIN)/python -m pip install -q -e .
	@touch $@

# The setuptools that comes with venv may be too old for pyproject.toml, and no lock names setuptools.
# Most of the files of the packages are never imported: Python compiles those that are.
.venv/dev: pyproject.toml requirements-dev.txt requirements-dev-alone.txt | .venv/bin/python
	$(BIN)/python -m pip install -q --no-compile "setuptools>=77" -r requirements-dev.txt
	$(BIN)/python -m pip install -q --no-compile --no-deps -r requirements-dev-alone.txt
	FIRSTBYTE_PURE=1 $(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@ .venv/run

.venv/compiled: $(SOURCES) | .venv/dev deps
	FIRSTBYTE_REQUIRE_COMPILED=1 $(BIN)/python setup.py -q build_ext --inplace --parallel 2 2>build-errors || (cat build-errors; false)
	@rm -f build-errors
	@touch $@
