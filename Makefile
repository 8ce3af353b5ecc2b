# What one does here, by name; `make help` lists it. Needs Debian's python3 (3.11), python3-venv, make and git.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help venv demo stop test test-pages test-alerts alerts upgrade-test mutants simulate hostile bench lint verify lock clean kill kill-long faults \
	image sbom compose-check k8s-check

PYTHON ?= /usr/bin/python3
BIN := .venv/bin
INSTALLED := .venv/.installed
COMPILE := $(BIN)/uv pip compile --quiet --python $(BIN)/python --generate-hashes \
	--no-emit-index-url --no-header pyproject.toml
# What the image installs: no extra, and each version as in the whole lock.
COMPILE_RUN := $(COMPILE) --constraints
, := ,
IMAGE ?= ocop-interconnect:local

export UV_PYTHON_DOWNLOADS := never
export VIRTUAL_ENV := $(CURDIR)/.venv
# Else every one of hundreds of processes compiles again all that it imports.
export PYTHONDONTWRITEBYTECODE :=

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/' | expand -t 16

venv: $(INSTALLED) ## Make .venv as requirements.lock says

$(INSTALLED): requirements.lock
	@echo "Installing into .venv"
	@$(PYTHON) -m venv .venv
	@# uv is pinned in the lock like everything else; pip installs it, uv the rest.
	@awk '/^[^ ]/ { keep = /^uv==/ } keep' requirements.lock > .venv/uv.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r .venv/uv.lock
	@$(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode requirements.lock
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: venv ## Start everything, submit the real acts, compare with the published figures
	$(BIN)/ocop demo

stop: venv ## Stop everything that was started here; what is stored stays
	$(BIN)/ocop down

test: venv ## Run the tests, on real Kafka and PostgreSQL: TESTS=tests/gateway for some
	$(BIN)/pytest $(TESTS)

test-pages: venv ## Run the tests of the pages, in Chromium
	$(BIN)/pytest tests/pages

mutants: venv ## Break the delivery code on purpose, and see each break noticed
	@git describe --always --dirty --abbrev=12
	$(BIN)/python -m tests.mutants

simulate: venv ## Random histories of crashes, repeats and rebalances: HISTORIES=10000 SEED=1
	@git describe --always --dirty --abbrev=12
	$(BIN)/python -m tests.simulation --histories $(or $(HISTORIES),10000) --seed $(or $(SEED),1)

SEED ?= 1
KILLS ?= 20
EVENTS ?= 10000
kill: venv ## Kill processes at random under load: SEED= KILLS= EVENTS=
	$(BIN)/python -m tests.delivery.kill --seed $(SEED) --kills $(KILLS) --events $(EVENTS)

kill-long: venv ## 200 kills over 200,000 events, in eight parts; what is done for a commit is not run again
	$(BIN)/python -m tests.delivery.kill --seed $(SEED) --parts 8 --kills 25 --events 25000

faults: venv ## Each fault of links, processes, engines and records, three times: FAULT=F4,F5 SEED=1 LASTS=60
	$(BIN)/python -m tests.faults $(if $(FAULT),--fault $(FAULT)) $(if $(filter command% environment%,$(origin SEED)),--seed $(SEED)) \
		$(if $(LASTS),--seconds $(LASTS))

upgrade-test: venv ## From the last other code on main to this one, back and forth, under load: FROM= SEED=1
	$(BIN)/python -m tests.upgrade $(if $(FROM),--commit $(FROM)) --seed $(SEED)

hostile: venv ## Requests that no honest sender makes, on real services: REQUESTS=20000 SEED=1
	@git describe --always --dirty --abbrev=12
	$(BIN)/python -m tests.hostile --requests $(or $(REQUESTS),20000) --seed $(or $(SEED),1)

bench: venv ## How fast it is, into bench/RESULTS.md: WHAT="projection peer decider …" for some parts only
	$(BIN)/python -m bench $(WHAT)

test-alerts: venv ## Run the tests of the alerts, by promtool of Debian's package prometheus
	$(BIN)/pytest tests/alerts

alerts: venv ## Break a running system: which alert fires, how soon, and no other; 20 minutes: FAULT=broker
	$(BIN)/python -m tests.alerts $(if $(FAULT),--fault $(FAULT))

lint: venv ## Style, types, who may import whom, and what migrations do to tables in use
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/squawk servicekit/migrations/*.sql services/*/*/migrations/*.sql

verify: venv ## Check that generated files and the lock are current
	@! grep -nE '://|--(extra-)?index-url|--find-links' requirements.lock requirements.run.lock \
		|| { echo "a lock names an address: run make lock"; exit 1; }
	@cp requirements.lock .venv/fresh.lock
	@$(COMPILE) --all-extras --output-file .venv/fresh.lock
	@diff -u requirements.lock .venv/fresh.lock \
		|| { echo "requirements.lock does not fit pyproject.toml: run make lock"; exit 1; }
	@cp requirements.run.lock .venv/fresh.run.lock
	@$(COMPILE_RUN) requirements.lock --output-file .venv/fresh.run.lock
	@diff -u requirements.run.lock .venv/fresh.run.lock \
		|| { echo "requirements.run.lock does not fit requirements.lock: run make lock"; exit 1; }
	$(BIN)/python -m contracts.generate --check
	$(BIN)/python -m servicekit.metrics --check
	$(BIN)/python -m deploy.k8s.kafka --check
	$(BIN)/python -m deploy.k8s.alerts --check
	$(BIN)/python -m deploy.dashboards --check

k8s-check: venv ## Show every Kubernetes object to a real API server; builds it once, with Go, some minutes
	$(BIN)/python -m deploy.k8s.check

lock: venv ## Bring the locks up to pyproject.toml; newer versions by rm requirements*.lock first
	$(COMPILE) --all-extras --output-file requirements.lock
	$(COMPILE_RUN) requirements.lock --output-file requirements.run.lock

image: ## Build the image: IMAGE= BASE=; PIP_CONF= CA= BUILD_NETWORK= where packages come by a mirror or a proxy
	DOCKER_BUILDKIT=1 docker build --tag $(IMAGE) \
		--build-arg REVISION=$$(git describe --always --dirty --abbrev=40) \
		$(if $(BASE),--build-arg BASE=$(BASE)) $(if $(BUILD_NETWORK),--network=$(BUILD_NETWORK)) \
		$(if $(PIP_CONF),--secret id=pip$(,)src=$(PIP_CONF)) $(if $(CA),--secret id=ca$(,)src=$(CA)) .

sbom: venv ## What the image installs, as CycloneDX, into sbom.cdx.json
	$(BIN)/cyclonedx-py requirements requirements.run.lock --pyproject pyproject.toml --output-reproducible \
		--output-format JSON --output-file sbom.cdx.json

compose-check: venv ## docker-compose.yml on the engine that is here: demo, oracle, nothing left: SERVICES= FILES=
	$(BIN)/python -m tests.deploy $(foreach file,$(FILES),--file $(file)) $(SERVICES)

clean: ## Stop everything, then remove .venv, .ocop (what is stored) and caches
	@[ ! -x $(BIN)/ocop ] || $(BIN)/ocop down
	rm -rf .venv .ocop .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
