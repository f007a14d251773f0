# Everything runs in one environment, .venv; each target installs what it needs, once.
#   make demo                    train on MNIST and show the way on
#   make test                    the tests
#   make venv EXTRAS=dev,serve   the environment with extras of pyproject.toml

PYTHON ?= python3
EXTRAS ?=
VENV := .venv
RUN := $(VENV)/bin/python
comma := ,

# A stamp for each extra: newer than pyproject.toml and constraints.txt means nothing to install.
CORE := $(VENV)/.simplecell-core
extra = $(VENV)/.simplecell-with-$(1)

.PHONY: help venv demo test test-slow lint format bench docs fuzz clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#\( .*\)/\1/p' $(MAKEFILE_LIST) | head -4
	@echo ' Targets: venv demo test test-slow lint format bench docs fuzz clean'

venv: $(CORE) $(foreach name,$(subst $(comma), ,$(EXTRAS)),$(call extra,$(name)))

demo: $(CORE)
	$(VENV)/bin/simplecell demo

# Two processes with one thread each: small nets gain nothing from a second thread.
test: $(call extra,dev)
	$(RUN) -m pytest -n 2

test-slow: $(call extra,dev)
	$(RUN) -m pytest -m slow

lint: $(call extra,dev)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports

format: $(call extra,dev)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

# Each benchmark runs; the target fails when one of them missed its goal.
bench: $(call extra,bench)
	@failed=; for file in benchmarks/*.py; do \
	  echo "== $$file"; $(RUN) $$file || failed="$$failed $$file"; \
	done; test -z "$$failed" || { echo "Missed:$$failed" >&2; exit 1; }

docs: $(call extra,docs)
	$(RUN) -m pytest tests/test_docs.py -m slow

fuzz: $(call extra,dev)
	$(RUN) -m pytest -n 2 -m hypothesis --hypothesis-profile=fuzz

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "simplecell needs Python 3.11 or newer, and '$(PYTHON)' is" \
	       "$$($(PYTHON) --version 2>/dev/null || echo 'not there');" \
	       "name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 2; }

$(CORE): pyproject.toml constraints.txt | $(RUN)
	@echo 'Installing simplecell and PyTorch into $(VENV): some minutes the first time.'
	$(RUN) -m pip install --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.simplecell-with-%: pyproject.toml constraints.txt | $(CORE)
	$(RUN) -m pip install --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@
