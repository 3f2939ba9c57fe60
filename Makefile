# `make help` lists the targets. Everything is installed into .venv and cached in .cache, both inside this folder.
.DEFAULT_GOAL := help
.PHONY: help setup demo lab dashboard test test-all lint export clean benchmarks
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
CACHE := $(CURDIR)/.cache

# Nothing outside this folder is touched.
export UV_CACHE_DIR := $(CACHE)/uv
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export JUPYTER_CONFIG_DIR := $(CACHE)/jupyter/config
export JUPYTER_DATA_DIR := $(CACHE)/jupyter/data
export JUPYTER_RUNTIME_DIR := $(CACHE)/jupyter/runtime
export JUPYTERLAB_SETTINGS_DIR := $(CACHE)/jupyter/lab/user-settings
export JUPYTERLAB_WORKSPACES_DIR := $(CACHE)/jupyter/lab/workspaces
export IPYTHONDIR := $(CACHE)/ipython
export MPLCONFIGDIR := $(CACHE)/matplotlib
export NUMBA_CACHE_DIR := $(CACHE)/numba
export XDG_CACHE_HOME := $(CACHE)/xdg
export XDG_CONFIG_HOME := $(CACHE)/xdg-config
export npm_config_cache := $(CACHE)/npm
# Idle OpenMP threads sleep instead of spinning: on shared cores this is the difference between seconds and a minute.
export OMP_WAIT_POLICY := PASSIVE
export GOMP_SPINCOUNT := 0
export PATH := $(BIN):$(PATH)

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.ready ## install everything into .venv (done by the other targets)

.venv/.ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else "mlnb needs Python 3.11 to 3.13; set PYTHON=python3.11")'
	@echo "Setting up .venv: about 250 packages, two to five minutes the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --no-cache-dir uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@$(BIN)/python -m compileall -q mlnb
	@$(BIN)/python -c 'from mlnb.drifting.exact import warm; warm()'
	@touch $@

demo: setup ## train, evaluate, monitor and document a model on a year of real flights
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/mlnb demo demo-workspace

lab: setup ## JupyterLab on the demo's workspace, with a notebook that shows everything in five minutes
	@test -f demo-workspace/start.ipynb || $(MAKE) --no-print-directory demo
	@cd demo-workspace && MLNB_WORKSPACE=$(CURDIR)/demo-workspace $(BIN)/jupyter lab --LabApp.news_url=None \
		--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB) start.ipynb

NAME ?= overview
dashboard: setup ## the live dashboard of the demo's workspace, on loopback (NAME=monitor for the other one)
	@test -f demo-workspace/start.ipynb || $(MAKE) --no-print-directory demo
	@cd demo-workspace && MLNB_WORKSPACE=$(CURDIR)/demo-workspace $(BIN)/mlnb dashboard $(NAME)

test: setup ## everything that must hold before a change lands
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/suite.py

test-all: setup ## the same with the long runs
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/suite.py --long

lint: setup ## ruff and pyright
	@$(BIN)/ruff check nbs mlnb templates dashboards tests benchmarks && $(BIN)/ruff format --check -q nbs templates dashboards tests benchmarks && $(BIN)/pyright

export: setup ## notebooks to modules, then clean the notebooks and write the schema
	@$(BIN)/nbdev-export && $(BIN)/nbdev-clean && $(BIN)/nbdev-clean --fname templates && $(BIN)/nbdev-clean --fname dashboards && $(BIN)/ruff format -q nbs templates dashboards
	@$(BIN)/python -c 'from mlnb.core.result import write_schema; write_schema()'
	@$(BIN)/python -c 'from mlnb.governance.card import write_card_schema; write_card_schema()' && $(BIN)/python -m compileall -q mlnb

benchmarks: setup ## figures of speed and size, printed as ratios
	@for f in benchmarks/spine/*.py benchmarks/surfaces/*.py; do echo "== $$f" && $(BIN)/python $$f; done
	@$(BIN)/python -m benchmarks.drift

clean: ## remove what was made here: .venv, caches, the demo's workspace
	@rm -rf .venv .cache demo-workspace .pytest_cache .ruff_cache .hypothesis dist build
