# Each target works from a bare clone: it makes the virtual environment in .venv first, and RabbitMQ where it can.
# A second run finds everything in place and takes no time.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready-$(shell cat requirements.lock deploy/local/setup.sh | cksum | cut -d' ' -f1)

.PHONY: demo test lint manifests bench chaos up down docs setup rabbitmq chain chromium prometheus clean

demo: setup rabbitmq chain
	$(BIN)/fleet demo

# Three for two cores: a third of what tests do is wait, for a process to start or for a pace to pass.
test: setup rabbitmq chromium chain prometheus
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/python -m deploy.sbom --check
	$(BIN)/python -m deploy.audit

manifests: setup prometheus
	$(BIN)/python -m deploy.local.manifests

bench: setup rabbitmq chain
	$(BIN)/fleet bench

chaos: setup rabbitmq chain
	$(BIN)/fleet chaos $(CHAOS)

up: setup rabbitmq chain
	$(BIN)/fleet up --detach

docs: setup
	$(BIN)/python -m deploy.contracts
	$(BIN)/python -m deploy.metrics_page
	$(BIN)/python -m deploy.settings_page
	$(BIN)/python -m deploy.grafana.build

down: setup
	$(BIN)/fleet down

setup: $(READY)

$(READY):
	@sh deploy/local/setup.sh environment "$(PYTHON)" "$(VENV)"
	@touch $@

rabbitmq:
	@sh deploy/local/setup.sh rabbitmq

chain:
	@sh deploy/local/setup.sh chain

chromium:
	@sh deploy/local/setup.sh chromium

prometheus:
	@sh deploy/local/setup.sh prometheus

clean:
	@if [ -x $(BIN)/fleet ]; then $(BIN)/fleet down; fi
	rm -rf .local $(VENV)
