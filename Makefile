# voltmesh: `make run` and `make test` need Python >= 3.11 and make, nothing else.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.run-ready
READY_DEV := $(VENV)/.dev-ready
THIRD_PARTY := build/third_party
PROTO_FILES := $(shell find protos/csms -name '*.proto')
PACKAGES := servicekit ocpp16 gateway auth_service session_service device_service simulator deploy benchmarks tests

##@ Use

.PHONY: run
run: $(READY) ## Start everything: database, services, gateway, Envoy, three demo chargers (FLEET=0 for none)
	@exec $(BIN)/python -m deploy.embedded

.PHONY: test
test: $(READY_DEV) ## Run the whole suite against real PostgreSQL, gRPC and Envoy (ARGS="-k name" to choose)
	$(BIN)/pytest $(ARGS)

.PHONY: chaos
chaos: $(READY_DEV) ## Kill parts under load, 200 times (KILLS=n), and count; SEED=n repeats a run
	KILLS="$(or $(KILLS),200)" SEED="$(SEED)" $(BIN)/pytest -n0 -s tests/chaos/test_kills.py

.PHONY: bench
bench: $(READY_DEV) ## Measure voltmesh against its yardsticks in one run; writes benchmarks/results.md
	$(BIN)/python -m benchmarks

##@ Change

.PHONY: lint
lint: $(READY_DEV) $(THIRD_PARTY) ## ruff, mypy, import-linter, buf, freshness of generated code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf format --diff --exit-code --path protos/csms
	$(BIN)/buf lint
	$(BIN)/python -m deploy.protos --check

.PHONY: format
format: $(READY_DEV) ## Format Python and protos
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/buf format -w --path protos/csms

.PHONY: proto
proto: $(READY_DEV) $(THIRD_PARTY) ## Generate protos/gen from protos/csms
	$(BIN)/python -m deploy.protos

.PHONY: lock
lock: $(READY_DEV) ## Resolve the requirements*.in files into hash-locked *.lock files
	$(LOCK) requirements-uv.in -o requirements-uv.lock
	$(LOCK) requirements.in -o requirements.lock
	$(LOCK) requirements-dev.in -o requirements-dev.lock
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header $(UPGRADE)

.PHONY: clean
clean: ## Remove the environment and build products (the data folder stays)
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*##/ {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- environment -----------------------------------------------------------

$(BIN)/uv: requirements-uv.lock
	@$(PYTHON) -c 'import sys; sys.exit("voltmesh needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

# The sources are put on the path as they stand; nothing has to be built or installed to be run.
define ON_THE_PATH
@$(BIN)/python -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "voltmesh.pth").write_text("$(CURDIR)\n$(CURDIR)/protos/gen\n")'
endef

$(READY): $(BIN)/uv requirements.lock
	$(BIN)/uv pip install --system-certs --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(ON_THE_PATH)
	@touch $@

$(READY_DEV): $(BIN)/uv requirements-dev.lock
	$(BIN)/uv pip install --system-certs --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	$(ON_THE_PATH)
	@touch $@ $(READY)

# google/api, google/rpc and google/type come from their wheel: nothing is vendored.
$(THIRD_PARTY): $(READY_DEV)
	@mkdir -p $(THIRD_PARTY)/google
	@$(BIN)/python -c 'import pathlib, shutil, google.api; source = pathlib.Path(google.api.__path__[0]).parent; [shutil.copytree(source / part, pathlib.Path("$(THIRD_PARTY)/google", part), dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", "__pycache__")) for part in ("api", "rpc", "type")]'
	@touch $@
