# The same commands by hand and in CI. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export SAM_CLI_TELEMETRY := 0
BIN := .venv/bin
export UV_CUSTOM_COMPILE_COMMAND := make lock
# One a processor, four at most; what shares an engine stays together (tests/conftest.py). WORKERS= runs all in one.
WORKERS := --numprocesses auto --maxprocesses 4 --no-loadscope-reorder
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-emit-index-url $(if $(UPGRADE),--upgrade)

.PHONY: help run test prove bench gate check scale format build deploy lock clean

help: ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

run: .venv/.done ## the whole of it on this machine: deploy, show the main flow, serve (ONCE=1: end after the flow; PORT=n; BIND=address)
	@$(BIN)/python -m settlepoint_local $(if $(ONCE),--once) $(if $(PORT),--port $(PORT)) $(if $(BIND),--bind $(BIND))

test: .venv/.done ## every test (ARGS="-k pages -x")
	$(BIN)/pytest $(WORKERS) $(ARGS)

prove: .venv/.done ## the proofs whole: 10,000 seeded runs with faults, days of deliveries, totals, fuzz (an hour)
	PROVE=1 $(BIN)/pytest $(WORKERS) tests/faults tests/notifications tests/store tests/layer/test_fuzz.py tests/functions/test_document.py $(ARGS)

check: .venv/.done ## format, lint, types, known weaknesses, template
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml layers/settlement functions cli local
	$(BIN)/mypy
	$(BIN)/sam validate --lint --region us-east-1

scale: .venv/.done ## what a page, a total and a settlement cost from 100 to a million settlements: bench/SCALE.md, ten minutes
	$(BIN)/uv pip install --quiet --python .venv --require-hashes --only-binary :all: -r requirements/bench.txt
	$(BIN)/python -m bench.scale $(ARGS)

bench: .venv/.done ## speed and cost beside FastAPI, Powertools and lean boto: bench/RESULTS.md, bench/COST.md, twenty minutes
	$(BIN)/uv pip install --quiet --python .venv --require-hashes --only-binary :all: -r requirements/bench.txt
	$(BIN)/python -m bench.run $(ARGS)
	$(BIN)/python -m bench.cost

gate: .venv/.done ## instructions of starts and warm calls and the layers' size: none above bench/GATE.json (ARGS=--set: keep these)
	$(BIN)/python -m bench.gate $(ARGS)

format: .venv/.done ## rewrites what the formatter and the linter can mend by themselves
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

build: .venv/.done ## what `sam deploy` takes to AWS (ENV=dev, ENV=prod: as samconfig.toml says for it)
	$(BIN)/python -m settlepoint_local.gradual
	$(BIN)/sam build $(if $(ENV),--config-env $(ENV))

deploy: build ## builds and deploys to AWS (ENV=dev, ENV=prod)
	$(BIN)/sam deploy $(if $(ENV),--config-env $(ENV)) $(ARGS)

lock: .venv/bin/uv ## pins every requirement with its hashes (UPGRADE=1: to the newest)
	$(LOCK) requirements/dev.in -o requirements/dev.txt
	$(LOCK) layers/dependencies/requirements.in -c requirements/dev.txt -o layers/dependencies/requirements.txt
	$(LOCK) requirements/bench.in -o requirements/bench.txt
	for peer in bench/peers/*/; do $(LOCK) $${peer}requirements.in -c requirements/dev.txt -o $${peer}requirements.txt || exit 1; done
	$(LOCK) requirements/uv.in -o requirements/uv.txt

clean: ## removes everything that is not in git
	rm -rf template.gradual.json .venv .local .aws-sam .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -r {} +

.venv/bin/uv: requirements/bootstrap requirements/uv.txt .python-version
	requirements/bootstrap
	@touch $@

.venv/.done: .venv/bin/uv requirements/dev.txt pyproject.toml
	$(BIN)/uv pip sync --quiet --python .venv --require-hashes --only-binary :all: requirements/dev.txt
	$(BIN)/uv pip install --quiet --python .venv --no-deps --no-build-isolation --no-index --editable .
	@touch $@
