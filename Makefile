# The commands of this repository. Each sets up what it needs in .venv, and is done in seconds when nothing changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOG := $(VENV)/install.log
PIP := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
SAY_IF_IT_FAILED := >>$(LOG) 2>&1 || { cat $(LOG); exit 1; }
OUT ?= imitable-demo

.PHONY: help demo test test-long check clean

help:  ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: $(VENV)/.installed  ## The whole loop: a real model, a game server, simulated annotators, a ranking, a report.
	@$(BIN)/imitable demo --out $(OUT)

test: $(VENV)/.tools  ## All tests but the long ones, real servers and browser included.
	@$(BIN)/python -m pytest -q -n $(or $(JOBS),2) --dist loadgroup -m "not long" -rs

test-long: $(VENV)/.tools  ## All tests at full size.
	@IMITABLE_TESTS=long $(BIN)/python -m pytest -q -n $(or $(JOBS),2) --dist loadgroup -rs --timeout 1800

check: $(VENV)/.tools  ## Format, lint, types and layers.
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && echo "ruff: clean"
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

clean:  ## Remove the environment and everything made.
	@rm -rf $(VENV) $(OUT) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch goes first, and by pip: a CPU build of exactly this version may lie on the machine.
$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (a few minutes the first time) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) "$$(grep '^torch==' constraints.txt)" $(SAY_IF_IT_FAILED)
	@$(PIP) --editable '.[models,serve]' $(SAY_IF_IT_FAILED)
	@touch $@

$(VENV)/.tools: $(VENV)/.installed
	@echo "Adding the test tools ..."
	@$(PIP) $$($(BIN)/python -c "import tomllib; g = tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']; print(*(d.replace(' ', '') for n in ('test', 'check') for d in g[n]))") $(SAY_IF_IT_FAILED)
	@touch $@
