PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready$(if $(LOCKED),-locked)

# Small shared machines burn CPU seconds on spinning threads; the results are the same.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test check slow bench snapshots reference site supply lock clean help
.DEFAULT_GOAL := help

$(READY): pyproject.toml $(if $(LOCKED),requirements/locked.txt)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(if $(LOCKED),$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements/locked.txt)
	$(BIN)/pip install --quiet -e ".[dev]"
	touch $(READY)

demo: $(READY) ## The whole ladder on real data with a real small model (about 8 minutes; FAST=1 about 3)
	$(BIN)/rung demo $(if $(FAST),--fast) $(if $(TASK),--task $(TASK))

test: $(READY) ## The tests
	$(BIN)/pytest -n 2 --dist loadfile

check: $(READY) ## Formatting, lint, types, layers and tests (with the network cut): what CI runs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/mypy.ini
	$(BIN)/lint-imports
	$(BIN)/python tests/offline.py $(BIN)/pytest -n 2 --dist loadfile --durations=30 --durations-min=8

slow: $(READY) ## Tests that take over 20 s or an environment of their own, and properties on new examples
	$(BIN)/pytest -m slow -o addopts="-q --strict-markers --import-mode=importlib"
	$(BIN)/pytest -m "hypothesis and not slow" --hypothesis-profile=search -n 2 --dist loadfile -o addopts="-q --strict-markers --import-mode=importlib"

LONG := load soak reviews slow_line
HELD := dedup_contenders verdict_methods
bench: $(READY) ## Side-by-side with peers; each prints a table of ratios (not load, reviews and soak, which take an hour)
	$(BIN)/python -m benchmarks.memory
	for file in $(filter-out $(patsubst %,benchmarks/%.py,$(LONG) $(HELD)),$(wildcard benchmarks/*.py)); do echo "== $$file"; $(BIN)/python $$file || exit 1; done

snapshots: $(READY) ## Pictures of every screen, made from the real program, into docs/screens
	$(BIN)/python docs/make_screens.py

reference: $(READY) ## docs/reference from the code: commands, settings, rules, checks, metrics, formats
	$(BIN)/python docs/make_reference.py

site: ## The docs as a site in build/site (MkDocs Material in an environment of its own)
	$(PYTHON) -m venv build/site-venv
	build/site-venv/bin/pip install --quiet mkdocs-material
	build/site-venv/bin/mkdocs build --strict

supply: $(READY) ## Unsafe code, what all is made of, known vulnerabilities (build/supply; the last asks the advisory service)
	$(PYTHON) -m venv build/supply-venv
	build/supply-venv/bin/pip install --quiet bandit cyclonedx-bom pip-audit
	mkdir -p build/supply
	build/supply-venv/bin/bandit -q -ll -c pyproject.toml -r advisor chat curation evaluation rung training workspace
	build/supply-venv/bin/cyclonedx-py environment $(BIN)/python --of JSON -o build/supply/sbom.json
	$(BIN)/pip freeze --exclude-editable > build/supply/installed.txt
	build/supply-venv/bin/pip-audit -r build/supply/installed.txt --no-deps --disable-pip --progress-spinner off

lock: ## requirements/locked.txt: the newest versions that pyproject.toml allows, with hashes
	$(PYTHON) -m venv build/lock-venv
	build/lock-venv/bin/pip install --quiet uv
	build/lock-venv/bin/python requirements/make_locked.py

clean: ## Remove what make made (not the model cache: `rung locate` says where it is)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

help: ## This list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /\1\t/' | expand -t 12
