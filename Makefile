# make run | test | check | demo | bench | bench-train | lock | clean. Only Python 3.11 or 3.12 with venv has to be there.
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
# `make demo PHOTOS=folder`, `make test TESTS=tests/jobs`
PHOTOS ?=
TESTS ?= tests
BIN := .venv/bin
WITH_SERVICES := $(BIN)/python -m isengard.studio run --state-dir
PYTEST := $(WITH_SERVICES) .state/test -- $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
WITHOUT_BROWSER := --ignore=tests/browser --ignore=tests/judge tests

.DEFAULT_GOAL := run
.PHONY: run test check demo bench bench-train lock clean installed installed-dev browser

run: installed
	@exec $(BIN)/python manage.py studio --host $(HOST) --port $(PORT)

test: installed-dev browser
ifeq ($(TESTS),tests)
	@$(PYTEST) -m "not integration" $(WITHOUT_BROWSER)
	@$(PYTEST) -m integration $(WITHOUT_BROWSER)
	@$(PYTEST) tests/browser
	@$(BIN)/python -m pytest tests/judge
else
	@$(WITH_SERVICES) .state/test -- $(BIN)/python -m pytest $(TESTS)
endif

check: installed-dev
	@PATH="$(CURDIR)/$(BIN):$$PATH" deploy/check.sh

demo: installed
	@$(WITH_SERVICES) .state/demo -- $(BIN)/python manage.py demo $(if $(PHOTOS),--photos "$(PHOTOS)")

bench: installed
	@$(BIN)/python -m isengard.engine bench
	@$(WITH_SERVICES) .state/bench -- $(BIN)/python manage.py bench_generation
	@$(WITH_SERVICES) .state/bench -- $(BIN)/python manage.py bench_dataset
	@$(WITH_SERVICES) .state/bench -- $(BIN)/python manage.py bench_gallery

# SCRIPT: a public training script to measure against; SCRIPT_PYTHON: a Python with what it imports; FULL_SIZE=1: on a GPU.
bench-train: installed
	@$(BIN)/python -m isengard.engine bench-train $(if $(SCRIPT),--script "$(SCRIPT)") \
		$(if $(SCRIPT_PYTHON),--script-python "$(SCRIPT_PYTHON)") $(if $(JSON),--json "$(JSON)") $(if $(FULL_SIZE),--full-size)

lock: installed
	@$(BIN)/python requirements/lock.py

clean:
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache test-results staticfiles
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

installed:
	@PYTHON="$(PYTHON)" deploy/venv.sh base

installed-dev:
	@PYTHON="$(PYTHON)" deploy/venv.sh dev

browser:
	@deploy/browser.sh
