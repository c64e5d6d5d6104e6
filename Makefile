# Everything is set up by the two commands of the README: `make demo` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
# Two at a time, since half of what the tests do is wait for real processes; WORKERS=0 runs them one after the other.
WORKERS ?= 2
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed-run
TEST_STAMP := $(VENV)/.installed-test
SOURCES := quota scheduler connectors benchmarks tests examples hatch_build.py

.DEFAULT_GOAL := help
.PHONY: help demo test check format lint types contracts unit test-faults browser lock clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed: install it, or name it with make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: name a newer one with make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is incomplete: install the distribution's python3-venv package, remove $(VENV) and try again"; exit 1; }

TRANSLATIONS := $(wildcard scheduler/locale/*/LC_MESSAGES/*.po)

$(RUN_STAMP): $(BIN)/python requirements.lock pyproject.toml hatch_build.py package-lock.json $(TRANSLATIONS)
	@echo "Installing the locked packages (once; about two minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@echo "Compiling the round (once; about ten seconds)"
	@$(BIN)/python -m scheduler.cycle.warm_up
	@touch $@

$(TEST_STAMP): $(RUN_STAMP) requirements-test.lock
	@echo "Installing the locked packages for tests (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	@touch $@

demo: $(RUN_STAMP) ## Federation up, a real training job on a real Ray cluster, portal open (ONCE=1: stop by itself)
	@$(BIN)/python -m scheduler.demo $(if $(ONCE),--once)

test: $(TEST_STAMP) browser format-check lint types contracts ## Everything: format, lint, types, contracts, all tests
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --no-loadscope-reorder

check: $(TEST_STAMP) format-check lint types contracts ## What is quick, for the inner loop: no service, no federation, few examples
	@$(BIN)/python -m pytest -q -m "not service and not slow" --hypothesis-profile=inner-loop --numprocesses $(WORKERS) --no-loadscope-reorder

format: $(TEST_STAMP) ## Put every file into the common format
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

.PHONY: format-check
format-check: $(TEST_STAMP)
	@$(BIN)/ruff format --check $(SOURCES)

lint: $(TEST_STAMP) ## ruff
	@$(BIN)/ruff check $(SOURCES)

types: $(TEST_STAMP) ## mypy --strict
	@$(BIN)/mypy

contracts: $(TEST_STAMP) ## Imports point down
	@$(BIN)/lint-imports --no-cache

browser: $(TEST_STAMP) ## A Chromium for the browser tests: found, else the distribution's, else Playwright's
	@$(BIN)/python -m tests.support.install_chromium

.PHONY: picture
picture: $(TEST_STAMP) browser ## Take the README's picture of the portal anew
	@PYTHONPATH=.:tests/support $(BIN)/python -m portal_picture docs/portal.png

test-faults: $(TEST_STAMP) ## Kill rounds: 20 on each database, 5 on Ray
	@$(BIN)/python -m pytest tests/faults --kill-rounds=20 --ray-kill-rounds=5

lock: ## Write the locks anew from pyproject.toml
	@$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --allow-unsafe --extra ray --extra build --output-file requirements.lock pyproject.toml
	@$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --allow-unsafe --extra ray --extra build --extra test --constraint requirements.lock --output-file requirements-test.lock pyproject.toml

clean: ## Remove what was made, not what was installed
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist scheduler/portal/static/vendor
