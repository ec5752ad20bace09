# The main commands are `make demo` and `make test`. Both install what they need.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
OUT    ?= out

.PHONY: help demo check test test-slow test-versions test-networks test-arm64 fuzz lint setup clean

help:      ## list the commands
	@grep -E '^[a-z0-9-]+:.*##' Makefile | sed -E 's/:.*##/\t/' | expand -t 14

demo: $(VENV)/installed  ## run the whole pipeline: calibrate, export, verify, bench, run, report; writes out/report.html
	@$(VENV)/bin/posec demo --out $(OUT)

check: $(VENV)/installed  ## run the quick tests, before a commit: no torch, no processes, no engines
	@$(VENV)/bin/python -m pytest --check --ignore=tests/arm64

test: $(VENV)/installed  ## run all tests but the slow ones
	@$(VENV)/bin/python -m pytest --ignore=tests/arm64 -m "not slow" --numprocesses auto --dist loadscope --no-loadscope-reorder

test-slow: $(VENV)/installed  ## run the slow tests: many networks, the docs' commands, every version of Python and of the engines
	@$(VENV)/bin/python -m pytest --ignore=tests/arm64 -m slow --numprocesses auto --dist loadscope

test-versions: $(VENV)/installed  ## every allowed Python, and old and new versions of the engines
	@$(VENV)/bin/python -m pytest -m slow tests/runtime/test_engine_versions.py tests/test_installation.py tests/test_telemetry.py

test-networks: $(VENV)/installed  ## a hundred small networks with parts that people use, in the formats that torch writes
	@$(VENV)/bin/python -m pytest -m slow tests/frontend/test_own_networks.py --numprocesses auto --dist load

fuzz: $(VENV)/installed  ## random changes of the files that posec reads, ten seconds for each reader
	@POSEC_FUZZ_SECONDS=$${POSEC_FUZZ_SECONDS:-10} $(VENV)/bin/python -m pytest tests/fuzz --numprocesses auto --dist load

test-arm64: $(VENV)/installed  ## run the runtime in an emulated arm64 Debian, as on a Raspberry Pi; needs root on Debian or Ubuntu
	@test "$$(id -u)" = 0 || { echo "posec: the arm64 Debian is unpacked and mounted as root; run make test-arm64 as root"; exit 2; }
	@$(VENV)/bin/python -m toolkit.emulation setup
	@$(VENV)/bin/python -m pytest -rs tests/arm64

lint: $(VENV)/installed  ## check style, types and layers
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

clean:     ## remove the files of the other commands
	@test ! -e $(OUT)/arm64 || POSEC_ARM64=$(abspath $(OUT))/arm64 $(PYTHON) -m toolkit.emulation clean
	rm -rf $(VENV) $(OUT) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
