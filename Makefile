# The commands of this artifact. Needs Python 3.11 with venv, make and git; everything else goes into .venv,
# or into the virtual environment (or the conda environment of environment.yml) that is active.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# the first that is 3.11 or 3.12 and can make environments: one that is found need not run
FIT := import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))
PYTHON ?= $(shell for each in python3.11 python3.12 python3; do $$each -c '$(FIT)' 2>/dev/null && echo $$each && break; done)
PROFILE ?= laptop

ACTIVE := $(if $(filter nbsp,$(CONDA_DEFAULT_ENV)),$(CONDA_PREFIX),$(VIRTUAL_ENV))
ifneq ($(shell test "$(ACTIVE)" = "$(CURDIR)/.venv" -o "$(ACTIVE)" -ef .venv && echo own),)
ACTIVE :=
endif
ifneq ($(word 2,$(ACTIVE)),)
ifneq ($(filter-out help clean,$(MAKECMDGOALS)),)
$(error the path of the active environment "$(ACTIVE)" holds a blank, which make cannot take: deactivate it, and .venv is used)
endif
endif
VENV := $(or $(ACTIVE),.venv)
PY := $(VENV)/bin/python
# whose library the environment holds: nothing if this clone's, "nobody" if it holds none, otherwise the other clone's folder
OWNER := $(shell $(PY) -Ic 'import os, nbsp_lib; there = os.path.dirname(os.path.dirname(nbsp_lib.__file__)); \
    os.path.samefile(there, ".") or print(there)' 2>/dev/null || echo nobody)
STAMP := $(VENV)/.nbsp-installed
# an environment may have lost its Python since
BROKEN := $(shell $(PY) -c '' 2>/dev/null || echo broken)
# dvc starts its stages with the `python` it finds first
export PATH := $(abspath $(VENV)/bin):$(PATH)
# two profiles may run at once: each waits for the other's moments with the record
DVC := $(PY) -m dvc --wait-for-lock

.PHONY: help setup reproduce test lab train smoke lint clean FORCE

help:           ## list these targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-10s %s\n", $$1, $$2 }'

setup: $(STAMP) ## install into .venv, or into the active environment
	@test -e .git || $(DVC) config --local core.no_scm true

reproduce: setup ## regenerate every table and figure from the shipped runs, compare with data/expected; trains nothing
	@$(PY) -m nbsp_lib.artifact.pairs
	$(PY) -m nbsp_lib.artifact.reproduce dvc.yaml
	$(PY) -m nbsp_lib.artifact.compare results data/expected

test: setup     ## run the tests, in two processes
	$(PY) -m pytest -n 2 --dist loadfile

lab: setup      ## open the first of the notebooks that teach, in JupyterLab
	$(PY) -m jupyter lab --LabApp.news_url=None notebooks/learn/01_why_does_an_agent_forget.ipynb

train: setup    ## train from scratch, hours (nbsp plan says how many): PROFILE=laptop (default) or paper
	@$(PY) -m nbsp_lib.artifact.pairs
	$(DVC) repro profiles/$(PROFILE)/dvc.yaml

smoke: setup    ## train, evaluate and draw everything at toy size, in minutes
	@$(PY) -m nbsp_lib.artifact.pairs
	$(PY) -m nbsp_lib.artifact.reproduce profiles/smoke/dvc.yaml

lint: setup     ## check style and layout of the code
	$(PY) -m ruff check .
	$(PY) -m ruff format --check --quiet .

clean:          ## remove what reproduce, smoke and test made; keeps .venv and whatever was trained
	rm -rf results runs/smoke build *.egg-info .pytest_cache .ruff_cache
	find . -name .venv -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -print0 | xargs -0 rm -rf

# torch first and alone: pip then takes a CPU build where it finds one of this version
$(STAMP): pyproject.toml requirements.lock $(if $(BROKEN)$(OWNER),FORCE)
	$(if $(filter-out nobody,$(OWNER)),$(error $(VENV) holds the nbsp-lib of $(OWNER): deactivate it, or type \
	    make VENV=.venv, or take it over with $(PY) -m pip uninstall nbsp-lib))
ifneq ($(BROKEN),)
	@test -z "$(ACTIVE)" || { echo "the active environment $(VENV) has no Python that runs: deactivate it, and .venv is used"; exit 1; }
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or 3.12 with venv runs here: install one, or name it: make setup PYTHON=..."; exit 1; }
	@$(PYTHON) -c '$(FIT)' || { echo "PYTHON=$(PYTHON) does not run, or is no Python 3.11 or 3.12 with venv"; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
endif
	@echo "installing into $(VENV), this takes a few minutes"
	$(PY) -m pip install --quiet "$$(grep '^torch==' requirements.lock)"
	$(PY) -m pip install --quiet -c requirements.lock -e ".[test]"
	@touch $@

FORCE:
