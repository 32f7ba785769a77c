.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
ROOMS := card keys qr verifier issuer sdk demo
# Compiled once, not by each of the hundreds of processes that the tests start; images often say otherwise.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/pip --disable-pip-version-check

# Two steps, because hashes and an editable install cannot share one pip call.
.venv/ready: pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(PIP) install -q --require-hashes -r requirements.lock
	$(PIP) install -q --no-deps -e .
	@touch $@

.venv/dev-ready: .venv/ready requirements-dev.lock
	$(PIP) install -q --require-hashes -r requirements-dev.lock
	@touch $@

# pyscard has no Linux wheel: it is built where the PC/SC headers are, and skipped with one line where they are not.
.venv/reader-ready: .venv/dev-ready requirements-reader.lock
	@if [ -e /usr/include/PCSC/winscard.h ]; then \
	    $(PIP) install -q --require-hashes -r requirements-reader.lock && touch $@; \
	else \
	    echo "reader: PC/SC tests will be skipped; to run them: apt-get install libpcsclite-dev swig pcscd vsmartcard-vpcd"; \
	fi

# Node builds the browser component and runs what tests need of npm; scripts of packages never run.
.venv/node-ready: .venv/ready tests/node/package-lock.json sdk/web/package-lock.json verifier/counter_page/package-lock.json
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
	    for room in sdk/web verifier/counter_page tests/node; do (cd $$room && npm ci --ignore-scripts --silent) || exit 1; done && touch $@; \
	else \
	    echo "node: the browser component and the counter's page are not built and their tests will be skipped; to have both: apt-get install nodejs npm chromium fonts-noto-cjk"; \
	fi

component: .venv/node-ready  ## build <ecard-code> and the counter's page, which the service then serves (needs node)
	@if [ -e .venv/node-ready ]; then for room in sdk/web verifier/counter_page; do (cd $$room && npm run --silent build) || exit 1; done; fi

setup: .venv/ready  ## create .venv with the locked run-time dependencies

demo: setup  ## the whole story on a simulated chip: issue, scan, lose, refuse, find, replace, rotate, cancel
	$(BIN)/ecard demo

check: .venv/dev-ready .venv/reader-ready component  ## every check that CI runs: format, lint, types, layers, tests, base install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(ROOMS) tests examples
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder
	$(MAKE) --no-print-directory slim

slim: .venv/ready  ## the wheel alone with its base dependencies only: verifies an offline code, imports nothing of the server
	@PYTHON=$(PYTHON) sh tests/slim/run.sh

bench: .venv/dev-ready  ## the benchmarks, side by side with peers in one run (ONLY=name for one)
	@$(BIN)/python -m tests.benchmarks $(ONLY)

lock:  ## rewrite the lock files (needs uv; only to change dependencies)
	uv pip compile -q --universal --no-header --no-annotate --generate-hashes --python-version 3.11 \
	    --extra service --extra image pyproject.toml -o requirements.lock
	uv pip compile -q --universal --no-header --no-annotate --generate-hashes --python-version 3.11 \
	    --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	uv pip compile -q --universal --no-header --no-annotate --generate-hashes --python-version 3.11 \
	    --extra reader --extra desk -c requirements.lock pyproject.toml -o requirements-reader.lock

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## / - /'

.PHONY: setup demo check component slim bench lock help
