# The two commands that matter: `make demo` and `make test`. Both set up what they need.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
OUT    ?= out
POSEC   = $(VENV)/bin/posec
BUNDLES = $(foreach target,intel-cpu generic-cpu,$(foreach precision,float32 int8,$(OUT)/$(target)-$(precision)))

.PHONY: help demo test lint setup samples clean

help:      ## list the commands
	@grep -E '^[a-z0-9-]+:.*##' Makefile | sed -E 's/:.*##/\t/'

demo: $(VENV)/installed  ## the whole way: calibrate, export, verify, bench, run, report; look at out/report.html
	@$(POSEC) demo --out $(OUT)

test: $(VENV)/installed  ## everything this machine can run
	@$(VENV)/bin/python -m pytest

lint: $(VENV)/installed  ## style, types, layers
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest tests/test_layers.py

setup: $(VENV)/installed  ## install for development into .venv

$(VENV)/installed: pyproject.toml .ci/constraints.txt
	@echo "posec: installing into $(VENV) (a few minutes the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and f"posec: the host side is built and tested with Python 3.11, found {sys.version.split()[0]}; set PYTHON=/path/to/python3.11")'
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt -e '.[dev]'
	@touch $@

clean:     ## remove what the other commands made
	rm -rf $(VENV) $(OUT) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
