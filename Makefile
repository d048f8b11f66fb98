# The commands of this artifact. Needs Python 3.11 with venv, make and git; everything else goes into .venv,
# or into the virtual environment (or the conda environment of environment.yml) that is active.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || echo python3.11)
PROFILE ?= laptop

ifeq ($(CONDA_DEFAULT_ENV),nbsp)
VENV := $(CONDA_PREFIX)
else
VENV := $(or $(VIRTUAL_ENV),.venv)
endif
PY := $(VENV)/bin/python
# whose library the environment holds: nothing if this clone's, "nobody" if it holds none, otherwise the other clone's folder
OWNER := $(shell $(PY) -Ic 'import os, nbsp_lib; there = os.path.dirname(os.path.dirname(nbsp_lib.__file__)); \
    os.path.samefile(there, ".") or print(there)' 2>/dev/null || echo nobody)
STAMP := $(VENV)/.nbsp-installed
# dvc starts its stages with the `python` it finds first
export PATH := $(abspath $(VENV)/bin):$(PATH)
# two profiles may run at once: each waits for the other's moments with the record
DVC := $(PY) -m dvc --wait-for-lock

.PHONY: help setup reproduce test lab train smoke lint clean

help:           ## list these targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-10s %s\n", $$1, $$2 }'

setup: $(STAMP) ## install into .venv, or into the active environment
	@test -e .git || $(DVC) config --local core.no_scm true

reproduce: setup ## regenerate every table and figure from the shipped runs, compare with data/expected; trains nothing
	$(DVC) repro dvc.yaml
	$(PY) -m nbsp_lib.artifact.compare results data/expected

test: setup     ## run the tests, in two processes
	$(PY) -m pytest -n 2 --dist loadfile

lab: setup      ## open the first of the notebooks that teach, in JupyterLab
	$(PY) -m jupyter lab notebooks/learn/01_why_does_an_agent_forget.ipynb

train: setup    ## train from scratch, hours (nbsp plan says how many): PROFILE=laptop (default) or paper
	$(DVC) repro profiles/$(PROFILE)/dvc.yaml

smoke: setup    ## train, evaluate and draw everything at toy size, in minutes
	$(DVC) repro profiles/smoke/dvc.yaml

lint: setup     ## check the style of the code
	$(PY) -m ruff check .

clean:          ## remove what reproduce, smoke and test made; keeps .venv and whatever was trained
	rm -rf results runs/smoke build *.egg-info .pytest_cache .ruff_cache
	find . -name .venv -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -print0 | xargs -0 rm -rf

# torch first and alone: pip then takes a CPU build where it finds one of this version
$(STAMP): pyproject.toml requirements.lock $(if $(OWNER),FORCE)
	$(if $(filter-out nobody,$(OWNER)),$(error $(VENV) holds the nbsp-lib of $(OWNER): deactivate it, or type \
	    make VENV=.venv, or take it over with $(PY) -m pip uninstall nbsp-lib))
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV), this takes a few minutes"
	$(PY) -m pip install --quiet "$$(grep '^torch==' requirements.lock)"
	$(PY) -m pip install --quiet -c requirements.lock -e ".[test]"
	@touch $@

FORCE:
