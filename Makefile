# Everything a newcomer needs; `make` alone lists it. Each target makes .venv when it is missing.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/installed ## Makes .venv with the room, the partner's commands and what the tests need

# Versions and hashes come from constraints.txt; the package index is whatever pip is set to.
.venv/installed: constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## Three made-up brands meet in a room; CHECK=1 ends after the tables
	$(BIN)/cleanroom demo $(if $(CHECK),--check)

test: install ## Runs the checks and the tests (under five minutes on two cores)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

bench: install ## Prints the benchmarks, ratio first (long; best on an idle machine)
	$(BIN)/python -m benchmarks.prepare
	$(BIN)/python -m benchmarks.engine
	$(BIN)/python -m benchmarks.http

format: install ## Formats the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

constraints: install ## Pins the newest versions of everything in constraints.txt (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade --no-header --no-annotate \
		--no-emit-index-url --extra room --extra dev pyproject.toml --output-file constraints.txt

clean: ## Removes .venv and what the tools left
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info

.PHONY: help install demo test bench format constraints clean
