# Every command a developer or CI needs; `make` alone lists them. State lives in .kasparro, tools in .tools and .venv.
SHELL := /bin/sh
.SHELLFLAGS := -euc
.DEFAULT_GOAL := help
PY := .venv/bin/python
UV := $(shell command -v uv || echo .tools/uv/bin/uv)
GROUPS := dev cli normalizer producer query sandbox
COMPOSE := docker compose $(if $(filter always,$(SANDBOX)),-f docker-compose.yml -f deploy/compose.sandbox.yml)
export PYTHON

.PHONY: help
help: ## Show these commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.venv/installed: bootstrap locks/dev.txt locks/uv.txt
	@./bootstrap
	@touch $@

.PHONY: run
run: .venv/installed ## Kafka, Postgres and every service here; Ctrl-C stops them (ARGS="--no-producers")
	@exec $(PY) -m services.cli up $(ARGS) # exec, or a SIGTERM that make hands on would end a shell and not this

.PHONY: dev
dev: .venv/installed ## As run, and each service is started again when its code is saved (ARGS="--verbose")
	@exec $(PY) -m services.cli up --reload $(ARGS)

.PHONY: test
test: .venv/installed ## Every test but those that need a browser, with a real Kafka and a real Postgres (ARGS="tests/unit -k quotes", or "-n0 -x": in one process)
	@$(PY) -m pytest -q -n auto --dist worksteal -m "not browser" $(ARGS)

.PHONY: test-faults
test-faults: .venv/installed ## The fault suite, 40 minutes with ROUNDS=1 (ROUNDS=3, SEED=any, REPORT=file.json, ARGS="-k broker"); see docs/faults.md
	@FAULTS_ROUNDS=$(or $(ROUNDS),3) FAULTS_SEED=$(SEED) FAULTS_REPORT=$(REPORT) $(PY) -m pytest -q -n0 -s tests/faults $(ARGS)

.PHONY: test-page
test-page: .venv/installed ## The page in the system's Chromium, before the real pipeline; pictures go into screenshots/ (ARGS="-k dark")
	@$(PY) -m pytest -q -n0 -s -m browser tests/browser $(ARGS)

.PHONY: test-kubernetes
test-kubernetes: .venv/installed ## The tests of deploy/kubernetes with kustomize at hand, which Go installs into .tools
	@test -x .tools/go/kustomize || GOBIN="$(CURDIR)/.tools/go" go install sigs.k8s.io/kustomize/kustomize/v5@v5.7.1
	@PATH="$(CURDIR)/.tools/go:$$PATH" $(PY) -m pytest -q -n0 tests/unit/kubernetes $(ARGS)

.PHONY: test-images
test-images: .venv/installed ## Build the images and put the compose project to the test; needs a Docker engine (ARGS="-k killed")
	@KASPARRO_TEST_IMAGES=yes $(PY) -m pytest -q -n0 -s tests/images $(ARGS)

.PHONY: test-upgrade
test-upgrade: .venv/installed ## From another release to this one and back, under load (FROM=v0.1.0, or any commit)
	@KASPARRO_UPGRADE_FROM=$(or $(FROM),$(error make test-upgrade FROM=a tag or commit)) $(PY) -m pytest -q -n0 -s tests/upgrade $(ARGS)

.PHONY: bench
bench: .venv/installed ## Measure against what a user would pick instead (ARGS="--rounds 1 --only Kasparro", "--help")
	@$(PY) -m benchmarks $(ARGS)

.PHONY: lint
lint: .venv/installed ## What CI checks before the tests: ruff, mypy, import contracts, oxlint for the page
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) -m mypy
	@.venv/bin/lint-imports --no-cache
	@.venv/bin/oxlint --deny-warnings services/query/page

.PHONY: format
format: .venv/installed ## Put the code in its format, and mend what ruff can mend
	@$(PY) -m ruff check --fix --exit-zero
	@$(PY) -m ruff format

.PHONY: schemas
schemas: .venv/installed ## Write the topics' JSON Schemas and AsyncAPI document anew from the code
	@$(PY) -m libs.contracts

.PHONY: metrics-table
metrics-table: .venv/installed ## Write the table of docs/metrics.md anew from the code
	@$(PY) -m libs.telemetry

.PHONY: dashboard
dashboard: .venv/installed ## Write Grafana's dashboard anew from deploy/grafana/panels.py
	@$(PY) -m deploy.grafana.dashboard

.PHONY: test-alerts
test-alerts: ## Run the alert rules' own tests with promtool (PROMTOOL=path; without one Go builds it into .tools, which takes minutes)
	@deploy/prometheus/tool promtool check config deploy/prometheus/prometheus.yml
	@deploy/prometheus/tool promtool test rules deploy/prometheus/tests/*.yml

.PHONY: test-monitoring
test-monitoring: .venv/installed ## A real Prometheus on deploy/prometheus, over real services that are broken (PROMETHEUS=path, else Go builds it)
	@deploy/prometheus/tool prometheus --version
	@KASPARRO_TEST_MONITORING=yes $(PY) -m pytest -q -n0 -s tests/monitoring $(ARGS)

.PHONY: kubernetes
kubernetes: .venv/installed ## Render deploy/kubernetes into what its tests read, after any change there (needs kustomize or kubectl)
	@$(PY) -m tests.unit.kubernetes.rendering

.PHONY: migration
migration: .venv/installed ## A new, empty migration with its rollback: make migration NAME=add-price-index
	@$(PY) -m services.cli migrate new "$(NAME)"

.PHONY: images
images: ## Build the images, dated by the commit (KASPARRO_VERSION=0.1.0: their tag, and the version that they tell)
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) docker compose -f docker-compose.yml -f deploy/compose.sandbox.yml --profile '*' build \
	    --build-arg SOURCE_DATE_EPOCH --build-arg REVISION=$$(git rev-parse HEAD) \
	    $(if $(KASPARRO_VERSION),--build-arg VERSION=$(KASPARRO_VERSION)) $(ARGS)

.PHONY: up
up: ## Everything in containers, built, started and healthy (SANDBOX=always: made-up providers; ARGS="--scale normalizer=3")
	@$(COMPOSE) up --build --detach --wait $(ARGS)
	@echo "Kasparro serves http://$$($(COMPOSE) port query 8000)/data. make logs, make health, make down"

.PHONY: down
down: ## Stop the containers and remove them; what they stored stays (SANDBOX=always; ARGS=--volumes: delete that too)
	@$(COMPOSE) --profile '*' down --remove-orphans $(ARGS)

.PHONY: logs
logs: ## Follow the logs of all containers (SANDBOX=always; ARGS="normalizer")
	@exec $(COMPOSE) logs --follow --tail 100 $(ARGS)

.PHONY: logs-api
logs-api: ## Follow the log of the HTTP API's container (SANDBOX=always)
	@exec $(COMPOSE) logs --follow --tail 100 $(ARGS) query

.PHONY: health
health: .venv/installed ## What the running API says of itself, here or in containers (SANDBOX=always); fails when it does not answer
	@at=$$($(COMPOSE) port query 8000 2>/dev/null || true); test -z "$$at" || export KASPARRO_API_URL="http://$$at"; $(PY) -m services.cli health

.PHONY: lock
lock: .venv/installed ## Resolve the dependency groups into locks/*.txt (UPGRADE=--upgrade: newer versions too)
	@for group in $(GROUPS); do \
	    test "$$group" = dev && rest="$(UPGRADE)" || rest="--constraint locks/dev.txt"; \
	    echo "locks/$$group.txt"; \
	    $(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
	        --group "$$group" --output-file "locks/$$group.txt" $$rest; \
	done

.PHONY: kafka-lock
kafka-lock: .venv/installed ## Resolve Kafka's jars anew into kafka.lock
	@$(PY) -m libs.devstack.relock_jars kafka.lock

.PHONY: clean-state
clean-state: .venv/installed ## Empty .kasparro: the embedded Kafka's and Postgres's data, and the logs
	@$(PY) -m services.cli clean-state
