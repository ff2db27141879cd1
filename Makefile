# Every check has one definition, here; CI and the README call these targets.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
N      ?= 20000
UNITS  ?= 10000
EXAMPLES ?= 100
MINUTES ?= 1
UPSTREAM_PYTHON ?= python3.13
TWIN   := benchmarks/flask_twin/.venv
OTHERS := .venv-groups
DOCS   := .venv-docs
PACK   := .venv-dist
SHIP   := .venv-deploy
# What a target may need of the environment: what a server needs, and the tools for development too.
LIBRARIES := $(VENV)/.installed
TOOLS  := $(LIBRARIES) $(VENV)/.tools
# One more than there are cores, as many tests wait; `loadfile` because files share their servers.
JOBS   ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
PYTEST  = $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
COMPILE = $(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-emit-index-url --no-header --quiet $(if $(UPGRADE),--upgrade)

# The scripts of an environment name its path: one that was moved, or whose Python is gone, is made again.
ifneq ($(shell [ ! -e $(VENV)/.libraries ] || { [ -x $(BIN)/python ] && head -n 2 $(BIN)/pip | grep -qF "$(abspath $(BIN))/"; } || echo moved),)
$(info The environment in $(VENV) was moved, or its Python is gone: it is made again.)
$(shell rm -f $(VENV)/.libraries $(VENV)/.tools $(VENV)/.installed $(BIN)/python)
endif

.DEFAULT_GOAL := help
.PHONY: help run dev install install-server test quick parts upstream bench compare bench-growth bench-handlers bench-inbox bench-ingest side-by-side parity units conformance groups fuzz faults power load machines keep check format lint types imports deps lock dist image image-steps up deploy-lint docs docs-serve first-mail operate-walk seed clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(LIBRARIES)  ## Set up, migrate and serve on http://127.0.0.1:5000 (SERVER=uvicorn, SERVER=granian)
	@$(BIN)/python run.py --local

dev: $(LIBRARIES)  ## Serve for development, with the debugger and the reloader
	@$(BIN)/quart --app quartapp dev $(ARGS)

install: $(TOOLS)  ## Make the environment in .venv with everything for development

install-server: $(LIBRARIES)  ## Make the environment in .venv with only what a server needs

# Three steps, so that a change of pyproject.toml does not install every library again.
$(LIBRARIES): $(VENV)/.libraries pyproject.toml
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.tools: $(VENV)/.libraries requirements-dev.lock
	@echo "Installing the tools for development in $(VENV); this happens once and takes about half a minute."
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.libraries: requirements.lock
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "quartapp needs Python 3.11 or newer, and there is no '$(PYTHON)' here: install it, or name one with 'make PYTHON=/path/to/python3'." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "quartapp needs Python 3.11 or newer, and %s is %s: name a newer one with \"make PYTHON=/path/to/python3\"." % (sys.executable, sys.version.split()[0]))'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python cannot make virtual environments: install its venv module (on Debian and Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	@# A server may be running from it: what has not changed stays as it is.
	@[ "$$($(BIN)/python -c 'import pip, sys; print(sys.version)' 2>/dev/null)" = "$$($(PYTHON) -c 'import sys; print(sys.version)')" ] || { \
	    echo "Installing the libraries in $(VENV); this happens once and takes about a quarter of a minute."; \
	    $(PYTHON) -m venv --clear $(VENV); }
	@$(PIP) --require-hashes -r requirements.lock
	@touch $@

test: $(TOOLS)  ## Set up and run the tests (JOBS=1: one at a time)
	$(PYTEST)

quick: $(TOOLS)  ## Run the tests without services and slow ones (less than a minute on two cores)
	$(PYTEST) -q -m "not (system or slow or postgresql or browser)" -o faulthandler_timeout=0 --durations 10 --durations-min 0.5

parts: $(TOOLS)  ## Run the tests of the parts in a copy without the microblog
	$(BIN)/python -m tests.setup.parts --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m tests.setup.parts --alone flasklike -q -m "not redis"

upstream: $(TOOLS)  ## Try the newest releases of the libraries (UPSTREAM_PYTHON=python3.13)
	@command -v $(UPSTREAM_PYTHON) >/dev/null 2>&1 || { echo "There is no '$(UPSTREAM_PYTHON)' here: install it, or name one with 'make upstream UPSTREAM_PYTHON=/path/to/python3.13'." >&2; exit 1; }
	@$(BIN)/python -m tests.system.upstream $(UPSTREAM_PYTHON)

parity: $(TOOLS)  ## Compare many generated applications with Flask (N=20000, SEED=random)
	$(BIN)/python -m tests.system.parity --count $(N) $(if $(SEED),--seed $(SEED))

side-by-side: $(TOOLS)  ## Let the version before and this one serve one database (ARGS="--postgresql URL")
	$(BIN)/python -m tests.system.side_by_side $(ARGS)

units: $(TOOLS)  ## Compare random units of work with SQLAlchemy's own (UNITS=10000, SEED=random)
	$(BIN)/python -m tests.system.units --count $(UNITS) $(if $(SEED),--seed $(SEED))

groups: $(TOOLS) $(OTHERS)/.installed  ## Show what other frameworks answer to exception groups
	@$(BIN)/python -m tests.system.groups $(OTHERS)/bin/python

# The other frameworks have a separate environment, which only this target needs.
$(OTHERS)/.installed: tests/system/groups/requirements.txt
	@echo "Installing Starlette, FastAPI, Litestar, Django and aiohttp; this happens once."
	@$(PYTHON) -m venv --clear $(OTHERS)
	@$(OTHERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

conformance: $(TOOLS)  ## Run Flask's own tests against App (downloads them once)
	$(BIN)/python -m tests.system.conformance

fuzz: $(TOOLS)  ## Send every route many requests, on a real server (EXAMPLES=100), and scan it (wapiti)
	$(BIN)/python -m tests.system.fuzz --each $(EXAMPLES)
	QUARTAPP_FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -q -o faulthandler_timeout=0 tests/microblog/api/test_generated_requests.py

faults: $(TOOLS)  ## Prove that no fault loses, doubles or leaks anything (30 minutes; ARGS=--help)
	MINUTES=$(MINUTES) $(BIN)/python -m tests.system.faults.table $(ARGS)

power: $(TOOLS)  ## Let the power fail after each system call (needs strace; 3 to 6 minutes)
	$(BIN)/python -m tests.system.faults.power --table
	$(BIN)/python -m tests.system.faults.power_calls

load: $(TOOLS)  ## Serve 256 connections for ten minutes, with a restart (LOAD="--minutes 1 --connections 1000")
	$(BIN)/python -m tests.system.load $(LOAD)

keep: $(TOOLS)  ## Back up under load, and compare with a ledger (a minute and a half; ARGS=--seconds 5)
	$(BIN)/python -m tests.system.keep $(ARGS)

machines: $(TOOLS)  ## Lose one of two machines behind nginx under load (as root; Linux, 5 minutes; ARGS=--help)
	$(BIN)/python -m tests.system.two_machines $(ARGS)

check: $(TOOLS)  ## Everything that must pass before a commit, and how long each step took
	@times=; for step in format lint types imports deps test; do \
	    begun=$$(date +%s); \
	    $(MAKE) --no-print-directory $$step || exit; \
	    times="$$times  $$step $$(($$(date +%s) - begun)) s"; \
	done; echo "All passed:$$times"

format: $(TOOLS)  ## Check the formatting (.venv/bin/ruff format repairs it)
	$(BIN)/ruff format --check .

lint: $(TOOLS)  ## Lint
	$(BIN)/ruff check .

types: $(TOOLS)  ## Check the types (mypy strict)
	$(BIN)/mypy

imports: $(TOOLS)  ## Check who imports whom
	$(BIN)/lint-imports

deps: $(TOOLS)  ## Check that what is imported is declared (the package alone, then everything)
	$(BIN)/deptry . --extend-exclude '(tests|benchmarks|docs)/'
	$(BIN)/deptry . --ignore DEP004

# The superset first: what the tools need decides the version of a library that both have.
lock: $(TOOLS)  ## Renew both lock files from pyproject.toml (UPGRADE=1: with the newest releases)
	$(COMPILE) --group build --group dev --all-extras -o requirements-dev.lock
	$(COMPILE) --group build --extra microblog --extra postgresql --extra redis --extra uvloop --extra uvicorn --extra granian --extra sentry --extra metrics --constraint requirements-dev.lock -o requirements.lock

dist: $(TOOLS) $(PACK)/.installed  ## Build the distributions in dist/, check them, and try the wheel
	@$(BIN)/python -m tests.system.dist $(PACK)/bin/python

$(PACK)/.installed: $(VENV)/.libraries tests/system/dist/requirements.txt
	@echo "Installing twine and check-wheel-contents; this happens once."
	@$(BIN)/python -m venv --clear $(PACK)
	@$(PACK)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/system/dist/requirements.txt
	@touch $@

image: docker  ## Build the image microblog:latest of deploy/docker (needs Docker)
	@docker build --file deploy/docker/Dockerfile --tag microblog:latest \
	    --build-arg RELEASE="$$(git describe --always --tags --dirty 2>/dev/null)" .

up: docker  ## Serve two instances, PostgreSQL, Redis and nginx in containers (needs Docker)
	@docker compose up --build --detach --wait
	@echo "Microblog is on $${PUBLIC_URL:-https://localhost}, its mails on http://127.0.0.1:8025; 'docker compose down' stops it."

docker:
	@docker info >/dev/null 2>&1 || { echo "This needs Docker, and none is running here: start it, or serve without containers with 'make run'." >&2; exit 1; }

image-steps: $(TOOLS)  ## Build and run the image without Docker: its steps, read-only (needs root)
	@$(BIN)/python -m tests.system.image_steps

deploy-lint: $(SHIP)/.installed  ## Lint the Dockerfile, compose.yaml and the CI file
	@$(SHIP)/bin/hadolint deploy/docker/Dockerfile
	@$(SHIP)/bin/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml deploy/docker/compose.yaml
	@$(SHIP)/bin/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/ci.yml
	@$(SHIP)/bin/zizmor --offline --quiet --no-progress .github/workflows/ci.yml

# Their tools have a separate environment, which only this target needs.
$(SHIP)/.installed: $(VENV)/.libraries tests/deploy/requirements.txt
	@echo "Installing hadolint, check-jsonschema and zizmor; this happens once."
	@$(BIN)/python -m venv --clear $(SHIP)
	@$(SHIP)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/deploy/requirements.txt
	@touch $@

docs: $(TOOLS) $(DOCS)/.installed  ## Build the site of the documents in build/docs
	@PYTHONPATH=.:$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
	    $(DOCS)/bin/python -m sphinx -q -W --keep-going -b html -c docs/site . build/docs
	@echo "The site is in build/docs/index.html; 'make docs-serve' serves it."

docs-serve: docs  ## Build the site, and serve it on http://127.0.0.1:8000 (PORT=8001)
	@$(DOCS)/bin/python -m http.server --bind 127.0.0.1 --directory build/docs $(or $(PORT),8000)

first-mail: $(TOOLS)  ## Follow docs/start.md, from an empty folder to the first error mail
	$(BIN)/python -m tests.system.first_mail $(ARGS)

operate-walk: $(TOOLS)  ## Follow the documents for operators on an empty machine (needs root; 6 minutes)
	$(BIN)/python -m tests.system.operate_walk $(ARGS)

# Its tools have a separate environment, which only this target needs.
$(DOCS)/.installed: $(VENV)/.libraries docs/site/requirements.txt
	@echo "Installing Sphinx; this happens once."
	@$(BIN)/python -m venv --clear $(DOCS)
	@$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r docs/site/requirements.txt
	@touch $@

bench: $(TOOLS) $(TWIN)/.installed  ## Measure against the version on Flask (SCENARIO=index for one)
	$(BIN)/python -m benchmarks $(if $(SCENARIO),--scenario $(SCENARIO)) $(BENCH)

compare: $(TOOLS)  ## Measure the CPU time of requests against another commit (BASE=main)
	@test -n "$(BASE)" || { echo "Name the commit to compare with: make compare BASE=main" >&2; exit 1; }
	$(BIN)/python -m benchmarks.paired $(BASE) $(PAIRED)

bench-handlers: $(TOOLS)  ## Compare QueuedSMTPHandler with other log handlers (3 minutes)
	$(BIN)/python -m benchmarks.smtp_handlers

bench-inbox: $(TOOLS)  ## Measure the pages of the inbox on a month of 10,000 groups (4 minutes)
	$(BIN)/python -m benchmarks.inbox $(ARGS)

bench-ingest: $(TOOLS)  ## Measure how many errors a CPU second counts, from journal to database
	$(BIN)/python -m benchmarks.ingest

bench-growth: $(TOOLS) $(TWIN)/.installed  ## Measure the floor, other servers, and growth (PARTS="floor posts")
	$(BIN)/python -m benchmarks.growth $(PARTS) $(BENCH)

# The version on Flask has separate libraries: quartapp never imports it.
$(TWIN)/.installed: benchmarks/flask_twin/requirements.txt
	@echo "Installing the version on Flask; this happens once."
	@$(PYTHON) -m venv --clear $(TWIN)
	@$(TWIN)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

seed: $(LIBRARIES)  ## Fill the database with people and posts
	@$(BIN)/quartapp db upgrade
	@$(BIN)/quartapp seed

clean:  ## Remove the environment and the caches (never the data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
