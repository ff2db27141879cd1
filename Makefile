# Every check has one definition, here; CI and the README call these targets.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
N      ?= 20000
EXAMPLES ?= 100
MINUTES ?= 1
TWIN   := benchmarks/flask_twin/.venv
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help run dev install test bench bench-growth parity fuzz faults check format lint types imports lock seed clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(STAMP)  ## Set up, migrate and serve on http://127.0.0.1:5000
	@$(BIN)/python run.py --local

dev: $(STAMP)  ## Serve for development, with the debugger and the reloader
	@$(BIN)/quart --app quartapp dev $(ARGS)

install: $(STAMP)  ## Make the environment in .venv from requirements.lock

# Two steps, so that a change of pyproject.toml does not install every library again.
$(STAMP): $(VENV)/.libraries pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.libraries: requirements.lock
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "quartapp needs Python 3.11 or newer, and there is no '$(PYTHON)' here: install it, or name one with 'make PYTHON=/path/to/python3'." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "quartapp needs Python 3.11 or newer, and %s is %s: name a newer one with \"make PYTHON=/path/to/python3\"." % (sys.executable, sys.version.split()[0]))'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python cannot make virtual environments: install its venv module (on Debian and Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	@echo "Installing the libraries in $(VENV); this happens once and takes about half a minute."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

test: $(STAMP)  ## Set up and run the tests
	$(BIN)/python -m pytest

parity: $(STAMP)  ## Compare many generated applications with Flask (N=20000, SEED=random)
	$(BIN)/python -m tests.system.parity --count $(N) $(if $(SEED),--seed $(SEED))

fuzz: $(STAMP)  ## Send the API many generated requests, on a real server (EXAMPLES=100)
	QUARTAPP_FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -q tests/microblog/api/test_generated_requests.py

faults: $(STAMP)  ## Prove at length that no error is lost (10 to 15 minutes; MINUTES=10: ten more)
	$(BIN)/python -m tests.system.faults.kill_workers 50
	$(BIN)/python -m tests.system.faults.kill_consumers 20
	$(BIN)/python -m tests.system.faults.storm 1000000 100000 1500000
	$(BIN)/python -m tests.system.faults.database_down $(MINUTES)
	$(BIN)/python -m tests.system.faults.machines 20
	$(BIN)/python -m tests.system.faults.full_disk
	$(BIN)/python -m tests.system.faults.slow_mail 2

check: format lint types imports test  ## Everything that must pass before a commit

format: $(STAMP)  ## Check the formatting (mend it with: .venv/bin/ruff format)
	$(BIN)/ruff format --check .

lint: $(STAMP)  ## Lint
	$(BIN)/ruff check .

types: $(STAMP)  ## Check the types (mypy strict)
	$(BIN)/mypy

imports: $(STAMP)  ## Check who imports whom
	$(BIN)/lint-imports

lock: $(STAMP)  ## Renew requirements.lock from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --group dev --all-extras --universal --generate-hashes --no-emit-index-url --no-header --quiet -o requirements.lock

bench: $(STAMP) $(TWIN)/.installed  ## Measure against the version on Flask (SCENARIO=index for one)
	$(BIN)/python -m benchmarks $(if $(SCENARIO),--scenario $(SCENARIO)) $(BENCH)

bench-growth: $(STAMP) $(TWIN)/.installed $(VENV)/.granian  ## Measure the floor, other servers, and growth (PARTS="floor posts")
	$(BIN)/python -m benchmarks.growth $(PARTS) $(BENCH)

# Beside quartapp's libraries: it serves quartapp. Without it, the rest is measured all the same.
$(VENV)/.granian: $(VENV)/.libraries benchmarks/granian.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r benchmarks/granian.txt && touch $@ || echo "granian could not be installed: its rows are skipped."

# The version on Flask has libraries of its own: quartapp never imports it.
$(TWIN)/.installed: benchmarks/flask_twin/requirements.txt
	@echo "Installing the version on Flask; this happens once."
	@$(PYTHON) -m venv --clear $(TWIN)
	@$(TWIN)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

seed: $(STAMP)  ## Fill the database with people and posts
	@$(BIN)/alembic upgrade head
	@$(BIN)/quart --app quartapp seed

clean:  ## Remove the environment and the caches (never the data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
