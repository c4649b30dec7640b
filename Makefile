# Every target sets up what it needs (system packages, environments) and says what is missing.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON := .venv/bin/python
STACK := $(PYTHON) -m local.stack
# Each process would compile Airflow again, for seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test screenshots up down status logs preflight bench soak-draws soak-points lint lock upgrade-check audit image scan

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: ## install what is missing: system packages and the locked environments
	@local/bootstrap.sh $(FOR)

demo: setup ## play both pipelines end to end on the embedded stack, print what happened, stop
	@$(PYTHON) -m local.demo

test: FOR := --tests
test: setup lint ## lint, types, locks, then all tests; ENGINE=mysql: the points lifecycle's on the MySQL 8.4 at MYSQL_HOST
	@.venv/bin/pytest $(if $(ENGINE),tests/integration/points tests/integration/approvals,-n 4 --no-loadscope-reorder --durations=25)

screenshots: FOR := --tests
screenshots: setup ## pictures of all operations pages, into docs/images
	@SCREENSHOTS=docs/images .venv/bin/pytest -n 0 -q tests/integration/pages/test_in_chromium.py -k "calm or chosen or restore"

up: setup ## start the embedded stack and keep it running; SERVICES="bigquery feed" starts only those, AUTH_MANAGER=fab has FAB's users, TELEMETRY=1 sends metrics
	@$(PYTHON) -m local.up $(SERVICES)

down: ## stop what was started
	@if [ -x $(PYTHON) ]; then $(STACK) down; else echo "nothing was set up yet"; fi

status: setup ## what runs, and on which port
	@$(STACK) status

logs: setup ## follow the logs; SERVICES=airflow-scheduler follows one
	@$(STACK) logs $(SERVICES)

preflight: setup ## ready for production, or what is missing, for what this shell's Airflow points to; ONLY="bigquery mysql", SEND=1
	@$(PYTHON) -m local.preflight $(ONLY) $(if $(SEND),--send)

bench: setup ## measure ours against the alternative; writes benchmarks/results.json
	@$(PYTHON) -m benchmarks.run $(BENCH)

soak-draws: setup ## play 40 days of faults and 300 histories of the draws against the truth; SEED=123 SIZE=day plays one again
	@$(PYTHON) -m benchmarks.histories

soak-points: setup ## play random years of the points lifecycle until 1,000 faults struck; SEED=123 SIZE=year plays one again and tells it
	@$(PYTHON) -m benchmarks.points_histories

lint: setup ## check style, types and lock files; changes nothing
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@local/lock.sh --check

upgrade-check: setup ## try the newest Airflow and providers that resolve, in an environment of their own; TESTS="tests/dags"
	@local/upgrade_check.sh $(TESTS)

audit: setup ## known weaknesses and licences of what production installs; ADVISORIES=osv asks osv.dev
	@local/audit/run.sh

image: ## build the production image drawsguard/production, without the simulators; VERSION=1.0.0, REQUIREMENTS=requirements-s3.lock
	@docker build $(if $(REQUIREMENTS),--build-arg REQUIREMENTS=$(REQUIREMENTS)) --target production --file local/docker/Dockerfile --tag drawsguard/production:$(or $(VERSION),1.0.0) .

scan: setup ## look at the production image: what it promises, Debian's repairs, a scanner of images; SCANNER=none, or a command
	@$(PYTHON) -m local.docker.scan drawsguard/production:$(or $(VERSION),1.0.0) $(if $(SCANNER),--scanner "$(SCANNER)")

lock: setup ## generate the lock files from the requirements
	@local/lock.sh
