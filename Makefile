# Everything a newcomer needs; `make` alone lists it. Each target makes .venv when it is missing.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/installed ## Makes .venv with the room, the partner's commands and what the tests need

# Versions and hashes come from constraints.txt; the package index is whatever pip is set to.
.venv/installed: constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## Three made-up brands meet in a room; CHECK=1 ends after the tables
	$(BIN)/cleanroom demo $(if $(CHECK),--check)

test: install ## Runs the checks and the tests (about nine minutes on two cores)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 --package partners --package policies
	$(BIN)/python -m pytest --numprocesses 3 --dist worksteal

attack: install ## Fights every attack and prints the table (minutes)
	$(BIN)/python -m tests.attacks

attack-long: install ## The same with 10,000 trials each, into docs/attacks.md (an hour or more)
	$(BIN)/python -m tests.attacks --worlds 50 --write docs/attacks.md

soak: install ## All that the sampling tests can draw, and the room killed 2,000 times (hours)
	SOAK=20 $(BIN)/python -m pytest tests/policies/test_sensitivity.py tests/policies/test_disclose_threshold.py tests/room/test_noise_law.py \
		tests/room/test_exports.py tests/room/test_schemathesis.py tests/room/test_life.py tests/room/test_kill_release.py

bench: install ## Prints the benchmarks in one table, ratio first (a quarter of an hour); FULL=1 goes to 10 million people
	$(BIN)/python -m benchmarks $(if $(FULL),--full)

format: install ## Formats the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

constraints: install ## Pins the newest versions of everything in constraints.txt (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade --no-header --no-annotate \
		--no-emit-index-url --extra room --extra dev pyproject.toml --output-file constraints.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--extra room --constraint constraints.txt pyproject.toml --output-file deploy/requirements.txt

clean: ## Removes .venv and what the tools left
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info

.PHONY: help install demo test attack attack-long soak bench format constraints clean
