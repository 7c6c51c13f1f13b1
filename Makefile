# `make demo` and `make test` each set up all that they need; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
STAMP := $(VENV)/.installed-$(shell sha256sum requirements.lock 2>/dev/null | cut -c1-16)
# Stages call `python`: everything below runs as if the environment were activated.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export NO_ALBUMENTATIONS_UPDATE := 1
# Side by side, a core each; the slow ones want every core, one after the other.
FAST_TESTS := OMP_NUM_THREADS=1 python -m pytest -q -n auto -m "not slow"

.PHONY: help setup demo full test check lint format types ui serve lock bench

help: ## list what make can do
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | awk -F '\t' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(STAMP) ## the virtual environment, from requirements.lock (uv where there is one, else pip)

$(STAMP): requirements.lock
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"segpipe needs Python 3.11 or newer, found {sys.version.split()[0]}. Put a newer python3 first on PATH")'
	@echo "Installing what requirements.lock names into $(VENV) (once; a few GB) …"
	@if command -v uv >/dev/null; then \
		test -x $(VENV)/bin/python || uv venv --quiet --python "$$(command -v python3)" $(VENV); \
		VIRTUAL_ENV=$(VENV) uv pip sync --quiet --compile-bytecode --require-hashes requirements.lock; \
	else \
		python3 -m venv $(VENV); \
		$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock; \
		$(VENV)/bin/python -m compileall -qq $(VENV)/lib >/dev/null || true; \
	fi
	@rm -f $(VENV)/.installed-*
	@touch $@

demo: setup ## the whole pipeline on fabricated data, then where to look
	@grep -qE '^profile: demo\b' params.yaml || { echo "params.yaml says another profile than demo. Write 'profile: demo' there, or run 'make full'"; exit 1; }
	@python -m segpipe repro
	@echo
	@echo "Done. Everything above ran on fabricated data with random weights: it shows the mechanics, no model's worth."
	@echo "  reports/index.html     the comparison, in any browser"
	@echo "  reports/gate.md        what the gate checked"
	@echo "  make ui                the curves and the registry, in MLflow"

full: setup ## the real data (params.yaml must say `profile: full`); a branch that fails stops no other
	@grep -qE '^profile: full\b' params.yaml || { echo "params.yaml says another profile than full. Write 'profile: full' there first"; exit 1; }
	@dvc repro -k || { echo "Some stages failed (see above). Their rows in the report say why:"; python -m stages.report; exit 1; }

test: setup ## every test, slow ones too
	@$(FAST_TESTS)
	@python -m pytest -m slow

check: setup lint types ## what every commit must pass: lint, types, fast tests
	@$(FAST_TESTS)

lint: setup
	@ruff check .
	@ruff format --check .

types: setup
	@mypy

format: setup ## lay the code out as `make check` wants it
	@ruff check --fix .
	@ruff format .

ui: setup ## MLflow on http://127.0.0.1:5000, for this machine only
	@echo "MLflow: http://127.0.0.1:$${PORT:-5000} (Ctrl-C ends it). Choose 'Model training' at its top left; docs/mlflow.md goes on"
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow server --workers 1 --host 127.0.0.1 --port $${PORT:-5000} \
		--allowed-hosts "127.0.0.1:$${PORT:-5000},localhost:$${PORT:-5000}" --backend-store-uri sqlite:///mlflow.db

FIND := import sys; from segpipe import terminal; from segpipe.tracking import registry; \
	sys.exit(terminal.exit_code(lambda: print(registry.find(*registry.parsed(sys.argv[1])).uri)))

serve: setup ## the champion of drone_binary (or MODEL=…) on http://127.0.0.1:5001, for this machine only
	@found=$$(python -c '$(FIND)' "$${MODEL:-drone_binary}"); \
	echo "$$found answers on http://127.0.0.1:$${PORT:-5001}/invocations (Ctrl-C ends it); docs/serving.md asks it"; \
	MLFLOW_TRACKING_URI=$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db} MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR=false \
		mlflow models serve -m "$$found" --env-manager local --host 127.0.0.1 --port $${PORT:-5001}

bench: setup ## every measurement in bench/, side by side
	@for file in $$(grep -l "^def main" bench/*.py); do python -m bench.$$(basename $$file .py); done

lock: ## lock the newest versions that requirements.in allows (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade requirements.in -o requirements.lock
