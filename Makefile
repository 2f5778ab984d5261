# Each target works from a clean clone: it installs what it needs first, and says what it does.
.DEFAULT_GOAL := help
.PHONY: help install sandbox first-day sandbox-start sandbox-shell sandbox-stop install-deploy unit lint rest test engine cluster parts browser second-opinion conformance lowest check docs bench faults lock format clean

PYTHON ?= python3
ARCHITECTURE ?= central
SETTINGS ?= Pulumi.sandbox.yaml
BIN := .venv/bin
ALONE := engine or images or kubernetes or browser
TWO := -n 2 --dist worksteal
UNIT := not integration and not ($(ALONE))
INSTALLED := .venv/.installed
TABLES := benchmarks $(addprefix benchmarks., scale peer state simulate admission commands)
SECOND := .venv/second-opinion
LOWEST := .venv/lowest
PINNED := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
  --no-header --no-emit-index-url --upgrade
STYLE := __main__.py ecr pages sandbox tests benchmarks examples plugin
SPELLED := $(STYLE) docs kubernetes README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md Makefile mkdocs.yml pyproject.toml

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Install the locked dependencies into .venv

install-deploy: ## Install only what a deployment needs into .venv
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
	  -r requirements-deploy.lock

sandbox: $(INSTALLED) ## Run the whole program for real, against an embedded AWS and GitHub
	$(BIN)/python -m sandbox run --architecture $(ARCHITECTURE) --settings $(SETTINGS)

first-day: $(INSTALLED) ## Go from an empty folder and empty accounts to the first pushed image, in the sandbox
	$(BIN)/python -m sandbox first-day

sandbox-start: $(INSTALLED) ## Bring the sandbox up in the background and leave it running
	$(BIN)/python -m sandbox start

sandbox-shell: $(INSTALLED) ## Open a shell in which pulumi works on the sandbox
	$(BIN)/python -m sandbox shell

sandbox-stop: $(INSTALLED) ## End what sandbox-start left running
	$(BIN)/python -m sandbox stop

unit: $(INSTALLED) ## Run the tests of the program itself, which need no engine, no browser and no cluster, side by side
	$(BIN)/python -m pytest -n auto -q -rs -m "$(UNIT)"

lint: $(INSTALLED) ## Check format, lint, types and which module may import which
	@echo "lint: format";    $(BIN)/ruff format --check $(STYLE)
	@echo "lint: rules";     $(BIN)/ruff check $(STYLE)
	@echo "lint: types";     $(BIN)/mypy && $(BIN)/mypy examples/service/__main__.py
	@echo "lint: imports";   $(BIN)/lint-imports

rest: parts ## Run the tests that make unit leaves out, and say what is skipped and why
	$(BIN)/python -m pytest -n auto -q -rs -m "integration and not ($(ALONE))"
	$(BIN)/python -m pytest $(TWO) -q -rs -m "$(ALONE)"

test: unit rest ## Run all tests, those on the real engine included, and say what is skipped and why

engine: $(INSTALLED) ## Run the tests on the real engine
	$(BIN)/python -m sandbox.toolchain
	$(BIN)/python -m pytest $(TWO) -q -rs -m engine

cluster: $(INSTALLED) ## Bring what the tests of the cluster need: an API server
	$(BIN)/python -m sandbox.kubernetes

parts: $(INSTALLED)
	$(BIN)/python -m sandbox.toolchain
	-$(BIN)/python -m sandbox.kubernetes # without it, the tests that need it are skipped, and say so
	-$(BIN)/python -m pages.browser # likewise

second-opinion: $(INSTALLED) ## Compare the embedded AWS with evaluators and an AWS that others wrote
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
	  --upgrade --target $(SECOND) -r second-opinion.lock
	$(BIN)/python -m sandbox.toolchain
	SECOND_OPINION=$(SECOND) $(BIN)/python -m pytest -q -rs -p no:randomly tests/test_iam_second_opinion.py \
	  tests/engine/test_second_opinion.py

conformance: $(INSTALLED) ## Run the acceptance tests of the upstream AWS provider against the embedded AWS
	$(BIN)/python -m sandbox.conformance

lowest: $(INSTALLED) ## Run the unit tests on the lowest versions of the program's dependencies
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
	  --upgrade --target $(LOWEST) -r lowest.lock
	PYTHONPATH=$(LOWEST) $(BIN)/python -m pytest -n auto -q -rs -m "$(UNIT)" \
	  --deselect tests/test_pages.py::test_the_reference_is_fresh # it is written from what is locked

browser: $(INSTALLED) ## Bring what the browser tests need: Chromium, and parts that come by npm
	$(BIN)/python -m pages.browser

check: lint ## Check format, lint, types, imports, workflows, generated pages, documents and their links
	@echo "check: workflows"; $(BIN)/python -m sandbox.workflows
	@echo "check: generated pages"; $(BIN)/python -m pages --check
	@echo "check: prose and sources"; $(BIN)/python -m pages.prose
	@echo "check: spelling";  $(BIN)/codespell $(SPELLED)
	@echo "check: documents and links"; NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir site

docs: $(INSTALLED) ## Build the decision site into site/
	$(BIN)/python -m pages $(if $(CI),--whole) $(addprefix --outputs=,$(OUTPUTS)) $(if $(STACK),--stack $(STACK)) $(if $(USAGE),--usage $(USAGE))
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir site
	@echo "docs: open site/index.html"

bench: $(INSTALLED) ## Measure the program against the barest one and its peer, and write the tables in the docs
	@code=0; for table in $(TABLES); do echo "bench: $$table"; $(BIN)/python -m $$table || code=1; done; exit $$code

faults: $(INSTALLED) ## Try every fault on the real engine, and write the table in the docs
	$(BIN)/python -m sandbox.trials

format: $(INSTALLED) ## Format the code
	$(BIN)/ruff format $(STYLE)
	$(BIN)/ruff check --fix $(STYLE)

lock: ## Pin every dependency anew, for work on the program and for its deployment (needs uv)
	$(PINNED) --all-extras --output-file requirements.lock pyproject.toml
	$(PINNED) --constraints requirements.lock --output-file requirements-deploy.lock pyproject.toml
	$(PINNED) --resolution lowest-direct --output-file lowest.lock pyproject.toml
	$(PINNED) --constraints requirements.lock --group promotion --output-file requirements-promotion.lock
	$(PINNED) --constraints requirements.lock --group admission --output-file kubernetes/admission/job/requirements.lock

clean: ## Remove what the other targets made in this folder
	rm -rf .venv .sandbox .first-day .sandbox.log site .pytest_cache .mypy_cache .ruff_cache .hypothesis

# uv where it is at hand, pip otherwise: both install exactly what the lock's hashes allow.
$(INSTALLED): requirements.lock
	@echo "setup: installing the locked dependencies into .venv"
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("setup: Python 3.11 or later is needed; this is " + sys.version.split()[0] + "; name one by make PYTHON=...")'
	@if command -v uv >/dev/null; then \
	  uv venv --quiet --seed --clear --python "$$(command -v $(PYTHON))" .venv && \
	  uv pip install --quiet --python .venv --require-hashes -r requirements.lock; \
	else \
	  $(PYTHON) -m venv --clear .venv && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock; \
	fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --editable .
	@touch $@
