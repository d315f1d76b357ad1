# Run `make` to read what each target does.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
PORT ?= 8080
INSTALL ?= yes
PYTEST ?= -n 2 --dist loadgroup --no-loadscope-reorder

VENV := .venv
BIN := $(VENV)/bin
INSTALL_LOCKED := $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement
COMPILE := $(BIN)/pip-compile --quiet --no-header --generate-hashes --allow-unsafe --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

.PHONY: help demo test check bench screenshots docs messages lock format clean keycloak

help: ## say what each target does
	@echo "usage: make TARGET [PORT=8080] [INSTALL=no] [PYTHON=python3]"; echo
	@sed -nE 's/^([a-z]+):.*## (.*)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | column -t -s '|'
	@echo
	@echo "  PORT      base port of the demo"
	@echo "  INSTALL   no: install no system package; what is missing is skipped, and said at the end"
	@echo "  PYTEST    options of the test run, for example PYTEST='-k reset -x'"

demo: $(VENV)/.gateway ## start everything embedded on loopback and say where to click
	@exec $(BIN)/sparekey demo --port $(PORT)

test: $(VENV)/.dev $(VENV)/.proxies ## install what the tests need, run them all, say what was skipped
	@INSTALL=$(INSTALL) requirements/install_packages.sh test
	@$(BIN)/python -m pytest $(PYTEST)

check: $(VENV)/.dev ## lint, types, import rules, spelling, templates, generated pages
	@failed=0; run() { echo "$$*"; "$(BIN)/$$@" || failed=1; }; \
	run ruff check --quiet .; \
	run ruff format --quiet --check .; \
	run mypy --no-error-summary; \
	run lint-imports --no-logo; \
	run codespell; \
	run djlint --lint --quiet gateway/templates idp_plugin/demo/templates; \
	run python -m gateway.cli.settings_pages --check; \
	exit $$failed

bench: $(VENV)/.dev $(VENV)/.bench ## the measured comparisons; prints ratios and writes docs/benchmarks.md
	@INSTALL=$(INSTALL) requirements/install_packages.sh bench
	@$(BIN)/python -m benchmarks

screenshots: $(VENV)/.dev ## every page at 390 and 1280 px, light and dark, into docs/screenshots
	@INSTALL=$(INSTALL) requirements/install_packages.sh browser
	@$(BIN)/python -m tests.browser.screenshots

docs: $(VENV)/.dev ## write docs/settings.md and deploy/sparekey.example.toml again
	@$(BIN)/python -m gateway.cli.settings_pages

messages: $(VENV)/.dev ## bring gateway/translations up to date with the sentences in the code
	@mkdir -p .cache
	@$(BIN)/pybabel --quiet extract --mapping babel.cfg --keyword _plural:1,2 --add-location file --width 110 \
		--project Sparekey --version 0.1 --copyright-holder "the Sparekey authors" --output .cache/messages.pot .
	@$(BIN)/pybabel --quiet update --input-file .cache/messages.pot --output-dir gateway/translations \
		--no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width 110

keycloak: $(VENV)/.dev ## fetch and build the Keycloak that the tests start (`make test` does it when due)
	@$(BIN)/python -m tests.servers.keycloak_build

format: $(VENV)/.dev ## let ruff format and mend the code
	$(BIN)/ruff check --quiet --fix-only .
	$(BIN)/ruff format --quiet .

lock: $(VENV)/.dev ## compile requirements/*.txt again, with hashes; UPGRADE=--upgrade takes newer versions
	$(COMPILE) $(UPGRADE) --all-extras --build-deps-for editable --output-file requirements/dev.txt pyproject.toml
	$(COMPILE) $(UPGRADE) --extra gateway --extra postgres --build-deps-for editable \
		--constraint requirements/dev.txt --output-file requirements/gateway.txt pyproject.toml
	$(COMPILE) $(UPGRADE) --constraint requirements/dev.txt --output-file requirements/agent.txt pyproject.toml
	$(COMPILE) $(UPGRADE) --constraint requirements/dev.txt --output-file requirements/bench.txt requirements/bench.in
	$(COMPILE) $(UPGRADE) --constraint requirements/dev.txt --output-file requirements/proxies.txt requirements/proxies.in

clean: ## remove the environment and every cache
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# An environment is made once; after that a stamp stands for "these locks are installed".
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: PYTHON=python3.11")'
	@INSTALL=$(INSTALL) PYTHON=$(PYTHON) requirements/install_packages.sh environment
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.gateway: $(VENV)/.made requirements/gateway.txt pyproject.toml
	@echo "Installing what the gateway needs (requirements/gateway.txt) into $(VENV)"
	@test -e $(VENV)/.dev || $(INSTALL_LOCKED) requirements/gateway.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-index --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.made requirements/dev.txt pyproject.toml
	@echo "Installing what development needs (requirements/dev.txt) into $(VENV)"
	@$(INSTALL_LOCKED) requirements/dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-index --no-build-isolation --editable .
	@touch $@ $(VENV)/.gateway

$(VENV)/.proxies: requirements/proxies.txt | $(VENV)/.made
	@echo "Installing the proxies that the tests start (requirements/proxies.txt) into $(VENV)"
	@$(INSTALL_LOCKED) requirements/proxies.txt
	@touch $@

$(VENV)/.bench: requirements/bench.txt | $(VENV)/.made
	@echo "Installing the ordinary proxy that the bench compares with into .cache/bench"
	@test -x .cache/bench/bin/pip || $(BIN)/python -m venv .cache/bench
	@.cache/bench/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements/bench.txt
	@touch $@
