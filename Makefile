.DEFAULT_GOAL := help
PY := .venv/bin/python
READY := .venv/.ready

help: ## list what make can do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(READY): requirements.lock pyproject.toml
	python3 -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

setup: $(READY) ## install everything into .venv

run: $(READY) ## start the demo and print its address
	.venv/bin/nova demo

test: $(READY) ## run the tests
	$(PY) -m pytest -n 2 -q

FUZZ_S := 600
fuzz: $(READY) ## draw new examples for the property tests, for FUZZ_S seconds
	$(PY) scripts/fuzz.py $(FUZZ_S)

lint: $(READY)
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .

types: $(READY)
	.venv/bin/mypy

contracts: $(READY)
	.venv/bin/lint-imports --no-cache

docs: $(READY) ## renew the generated pages of docs/reference
	$(PY) scripts/reference.py
	$(PY) tests/web/test_reference.py

check: lint types contracts test ## everything that CI checks
	$(PY) scripts/reference.py --check

engines: $(READY) ## start the real engines and print how to reach them
	$(PY) tests/engines

test-engines: $(READY) ## run the contract suites and fault tests against the real engines
	$(PY) tests/engines -- $(PY) -m pytest -n 2 -q \
	  tests/contracts tests/adapters/test_pool.py tests/adapters/test_arrays.py \
	  tests/adapters/test_neo4j.py tests/adapters/test_redis.py tests/backbone tests/features tests/world/test_lost_graph.py tests/world/test_lost_redis.py

SUITES :=
sdk-suites: $(READY) ## run the SDKs' own tests against a server (SUITES="python go js java")
	$(PY) scripts/sdk_suites $(SUITES)

bench: $(READY) ## measure the numbers in docs/reference/benchmarks.md
	.venv/bin/nova bench notifications
	.venv/bin/nova bench graph
	.venv/bin/nova bench channels
	.venv/bin/nova bench attack

lock: ## renew requirements.lock
	uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements.lock

clean: ## remove what the other targets made
	rm -rf .venv .cache build dist

.PHONY: help setup run test fuzz lint types contracts docs check engines test-engines sdk-suites bench lock clean
