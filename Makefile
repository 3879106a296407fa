# What there is to do: `make help`. Every recipe stops at its first failure, in a pipe too.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Stages share the host (cgroups, links): one at a time, in the order written.
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= /usr/bin/python3
PREFIX ?= /usr/local
CUTS ?= 3

VENV := .venv/bin
ENTRY := zonectl/libexec/zonectl-entry
STAGE := tools/stage
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=CI)
PYTEST := $(VENV)/python -m pytest

##@ Use
.PHONY: demo
demo: packages-run packages-build venv  ## build an image, run two zones that talk to each other (needs root)
	@$(AS_ROOT) tools/demo

.PHONY: install
install: packages-run packages-build  ## install for the whole system: PREFIX/bin/zonectl (PREFIX=/usr/local)
	@$(AS_ROOT) tools/install $(PREFIX)

.PHONY: uninstall
uninstall:  ## remove what `make install` wrote; zones stay
	@$(AS_ROOT) tools/install --remove $(PREFIX)

##@ Develop
.PHONY: venv
venv: .venv/.stamp $(ENTRY)  ## the environment .venv, with the command .venv/bin/zonectl

# One run of tools/venv makes both. It replaces the binary at once: one that is there is whole, and stays if it fails.
.PRECIOUS: $(ENTRY)
.venv/.stamp $(ENTRY) &: requirements.lock requirements-build.lock pyproject.toml tools/venv tools/launcher.py \
		tools/accelerator.py client/zonectl.c $(wildcard native/*) zonectl/__init__.py zonectl/daemon/verbs.py \
		| packages-build
	@$(STAGE) 900 "environment .venv" tools/venv $(PYTHON)

.PHONY: check
check: venv  ## format, lint, types, levels, unit tests: under a minute, no root
	@$(STAGE) 60 "format" $(VENV)/ruff format --check --quiet .
	@$(STAGE) 60 "lint" $(VENV)/ruff check --quiet .
	@$(STAGE) 180 "types" $(VENV)/mypy
	@$(STAGE) 60 "levels" $(VENV)/lint-imports --no-logo --cache-dir build/import-linter
	@$(STAGE) 180 "unit tests" $(PYTEST) --quiet tests/unit

.PHONY: format
format: venv  ## write the format, and the fixes that ruff is sure of
	$(VENV)/ruff check --fix --exit-zero --quiet .
	$(VENV)/ruff format .

.PHONY: lock
lock:  ## resolve the lock files anew; LOCK_ARGS=--upgrade for the newest of everything
	tools/lock $(LOCK_ARGS)

##@ Test
.PHONY: test
test: packages-run packages-build packages-test check test-kernel test-e2e test-hostile faults test-vm test-vm-stock powercut  ## everything, as CI does

.PHONY: test-kernel
test-kernel: packages-run packages-test packages-bench packages-lane venv  ## real system calls (root)
	@$(STAGE) 1500 "kernel tests" $(AS_ROOT) $(PYTEST) -p no:cacheprovider tests/kernel

.PHONY: test-e2e
test-e2e: packages-run packages-test venv  ## the command from outside (root)
	@$(STAGE) 1200 "end-to-end tests" $(AS_ROOT) $(PYTEST) -p no:cacheprovider tests/e2e

# A minute of it is stress-ng's. What became of each probe is kept in build/hostile.json.
.PHONY: test-hostile
test-hostile: packages-run packages-build packages-test venv  ## attacks from inside zones, and on the host, and without protection (root)
	@$(STAGE) 600 "hostile probes" $(AS_ROOT) $(PYTEST) -p no:cacheprovider tests/hostile

# FULL=1: every call of every command, killed and failed in every way; some hours.
.PHONY: faults
faults: packages-run packages-test venv  ## commands killed, and their calls failed, at each step: a sample (FULL=1 for all; root)
	@$(STAGE) $(if $(FULL),43200,1500) "faults" $(AS_ROOT) $(VENV)/python -m tests.faults $(if $(FULL),--full) $(FAULTS_ARGS)

.PHONY: endurance
endurance: packages-run packages-test venv  ## a thousand lives of zones, and what is left of them (half an hour; root)
	@$(STAGE) 7200 "endurance" $(AS_ROOT) $(VENV)/python -m tests.faults.endurance $(FAULTS_ARGS)

.PHONY: powercut
powercut: packages-lane packages-run packages-test venv  ## the power goes while zones are made and removed (CUTS=30; root)
	@$(STAGE) 3600 "power cuts" $(AS_ROOT) $(VENV)/python -m tests.vm.powercut --cuts $(CUTS)

# One boot for all of them: tests/vm/__main__.py.
.PHONY: test-vm
test-vm: packages-lane packages-run packages-test venv  ## on a kernel of its own with pure cgroup v2 (root)
	@$(STAGE) 900 "virtual machine tests" $(AS_ROOT) $(VENV)/python -m tests.vm

# Debian 12's is the oldest that zonectl runs on.
.PHONY: test-vm-stock
test-vm-stock: packages-lane packages-run packages-test venv  ## zones on the distribution's own kernel (root)
	@$(STAGE) 900 "zones on the stock kernel" $(AS_ROOT) $(VENV)/python -m tests.vm --stock --confcutdir tests/vm tests/vm/test_lane.py tests/vm/zones

.PHONY: bench-start
bench-start: packages-run packages-bench venv  ## what starting a zone costs, next to the peers (root)
	@$(AS_ROOT) $(VENV)/python tools/bench_start.py $(BENCH_ARGS)

.PHONY: bench-density
bench-density: packages-run venv  ## what many zones at once cost (root)
	@$(AS_ROOT) $(VENV)/python tools/bench_density.py $(BENCH_ARGS)

.PHONY: bench-detection
bench-detection: packages-build venv  ## whether bench finds what is planted, and nothing else (root)
	@$(AS_ROOT) PYTHONPATH=. $(VENV)/python tools/bench_detection.py $(BENCH_ARGS)

.PHONY: bench-choices
bench-choices: packages-run packages-build venv  ## what zonectl's own choices cost: overlay options, rules (root)
	@$(AS_ROOT) $(VENV)/python tools/bench_choices.py $(BENCH_ARGS)

.PHONY: bench-witness
bench-witness: packages-run packages-bench venv  ## other people's benchmarks, by hand in both arms (root)
	@$(AS_ROOT) $(VENV)/python tools/bench_witness.py $(BENCH_ARGS)

.PHONY: bench-seccomp
bench-seccomp: packages-build venv  ## what the system call filter costs a call, and a start (root)
	@$(AS_ROOT) $(VENV)/python tools/bench_seccomp.py $(BENCH_ARGS)

.PHONY: bench-protections
bench-protections: packages-run packages-build venv  ## what the protections of a zone cost its start (root)
	@$(AS_ROOT) PYTHONPATH=. $(VENV)/python tools/bench_protections.py $(BENCH_ARGS)

##@ Host
# One of the groups in tools/debian-packages.txt; only what is missing is installed.
packages-%:
	@tools/packages $*

.PHONY: clean
clean:  ## remove what make made in this folder
	rm -rf .venv build dist .pytest_cache zonectl/libexec
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

.PHONY: help
help:  ## this text
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo "  make packages-GROUP  Debian packages of a group: base run build test lane bench"
