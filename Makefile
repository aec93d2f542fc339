# Everything starts here. On a machine with python3, make and a network, `make demo` is enough.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# uv where it is present; where it is not, it is installed into the environment.
UV = $$(command -v uv || echo $(BIN)/uv)

MAKEFLAGS += --no-print-directory
# What Python has compiled is kept, whatever the environment says: tests start hundreds of processes,
# and each would compile every module anew, for longer than it works.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help demo up test soak fuzz browser audit check bench docs schema lock clean
.DELETE_ON_ERROR:

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## Show all of Homerow with a made-up district (ONCE=1: end afterwards; STUDENTS=n; PROVIDER=clever|classlink|oneroster: from a fake of it)
	@$(BIN)/homerow demo $(if $(filter-out 0 no,$(ONCE)),--once) $(if $(STUDENTS),--students $(STUDENTS)) $(if $(PROVIDER),--provider $(PROVIDER))

up: $(INSTALLED) ## Start servers, worker and API
	@$(BIN)/homerow up

test: $(INSTALLED) ## Run the tests
	@$(BIN)/pytest -q -n 2

soak: $(INSTALLED) ## Try random nights of districts, and storms over them, for hours (SEED=n: those of another soak)
	@$(BIN)/pytest -q -n 2 --dist loadfile --hypothesis-profile=soak $(if $(SEED),--hypothesis-seed=$(SEED)) \
		tests/domain/sync/stateful tests/domain/sync/test_model.py tests/contract/test_faults.py \
		tests/worker/test_storm.py

check: $(INSTALLED) ## Check format, style, types and walls between the packages
	@echo "ruff format" && $(BIN)/ruff format --check --quiet .
	@echo "ruff check" && $(BIN)/ruff check --quiet .
	@echo "mypy" && $(BIN)/mypy --no-error-summary
	@echo "lint-imports" && $(BIN)/lint-imports --no-logo --no-cache
	@echo "ast-grep" && $(BIN)/ast-grep scan --error

fuzz: $(INSTALLED) ## Ask the API what no client asks, for half an hour
	@$(BIN)/pytest -q -n 2 --hypothesis-profile=fuzz tests/fuzz

browser: $(INSTALLED) ## Sign in with a real Chromium, which has to be installed
	@$(BIN)/python -m tests.browser_chromium

audit: $(INSTALLED) ## Look for known vulnerabilities in what requirements.lock lists
	@$(BIN)/python -m tests.audit

bench: $(INSTALLED) ## Measure the speed of syncs and queries
	@$(BIN)/python -m tests.benchmarks

docs: $(INSTALLED) ## Write the pages of docs/ that are made from tables anew
	@$(BIN)/python -m domain.validation.page > docs/validation.md
	@$(BIN)/python -m domain.roster.page > docs/ownership.md
	@$(BIN)/python -m domain.privacy.page > docs/privacy.md
	@$(BIN)/python -m api.matrix_page > docs/permissions.md

schema: $(INSTALLED) ## Write the published GraphQL schema anew
	@$(BIN)/python -m api.graphql.schema > api/graphql/schema.graphql

lock: $(INSTALLED) ## Write requirements.lock anew after a change of pyproject.toml
	@$(UV) pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --quiet -o requirements.lock

clean: ## Remove the environment and the tools' caches; data stays
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build *.egg-info
	@find api worker domain migrations tests -type d -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Homerow needs Python 3.11 or newer: set PYTHON=… to one." >&2; exit 1; }
	@echo "Making the environment in .venv …"
	@$(PYTHON) -m venv .venv

$(INSTALLED): requirements.lock pyproject.toml | $(BIN)/python
	@command -v uv > /dev/null || [ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo "Installing what requirements.lock lists …"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@
