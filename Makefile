# Every target sets up what it needs (system packages, environments) and says what is missing.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON := .venv/bin/python
STACK := $(PYTHON) -m local.stack

.PHONY: help setup demo test up down status logs bench lint lock

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: ## install what is missing: system packages and the locked environments
	@local/bootstrap.sh

demo: setup ## play both pipelines end to end on the embedded stack, print what happened, stop
	@$(PYTHON) -m local.demo

test: setup lint ## lint, types, locks, then all tests
	@.venv/bin/pytest -n 2 --no-loadscope-reorder

up: setup ## start the embedded stack and keep it running; SERVICES="bigquery feed" starts only those
	@$(PYTHON) -m local.up $(SERVICES)

down: ## stop what was started
	@if [ -x $(PYTHON) ]; then $(STACK) down; else echo "nothing was set up yet"; fi

status: setup ## what runs, and on which port
	@$(STACK) status

logs: setup ## follow the logs; SERVICES=airflow-scheduler follows one
	@$(STACK) logs $(SERVICES)

bench: setup ## measure ours against the alternative; writes benchmarks/results.json
	@$(PYTHON) -m benchmarks.run $(BENCH)

lint: setup ## check style, types and lock files; changes nothing
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@local/lock.sh --check

lock: setup ## generate the lock files from the requirements
	@local/lock.sh
