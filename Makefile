# What it takes to try this, to check it and to work on it. Needs Python 3.11 or newer, make and git.
# Everything is made in .venv and .demo, and from the locks: requirements*.txt.

PYTHON ?= python3
LOCK_FLAGS ?=

BIN := .venv/bin
# Quiet, unless it fails: then once more, and loudly.
install = $(BIN)/pip --disable-pip-version-check -qq install $(1) || $(BIN)/pip install $(1)

# The demo and the tests must not see how the user of this machine configured a database of their own.
unexport $(filter PIPELINE_% ALPHAVANTAGE_API_KEY%,$(.VARIABLES))

.DEFAULT_GOAL := help
.PHONY: help demo test lint format docs bench lock clean

help: ## show this
	@grep -E '^[a-z]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 10

# The environment: a stamp for each step, so that nothing is installed twice.

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.13" \
	  if sys.version_info < (3, 11) else 0)'
	@echo 'making .venv, for Python and this project alone'
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/runtime: .venv/made requirements.txt requirements-build.txt pyproject.toml
	@echo 'installing what it runs on (requirements.txt), and the project itself'
	@$(call install,--require-hashes -r requirements.txt -r requirements-build.txt)
	@$(call install,--no-deps --no-build-isolation -e .)
	@touch $@

.venv/dev: .venv/runtime requirements-dev.txt
	@echo 'installing what checks it (requirements-dev.txt)'
	@$(call install,--require-hashes -r requirements-dev.txt)
	@touch $@

# To try it

define DEMO_CONFIG
database = "sandbox.db"

[symbols]
file = "symbols.txt"

[source]
plan = "premium-1200"
endef
export DEMO_CONFIG

define DEMO_LATEST
import sqlite3
from pipeline.cli.output import print_table

db = sqlite3.connect("file:sandbox.db?mode=ro", uri=True)
rows = db.execute("""
    SELECT symbol, substr(name, 1, 24), lower(substr(sector, 1, 18)), round(market_capitalization / 1e9, 1),
           pe_ratio, substr(observed_at, 1, 10)
      FROM latest_overviews
     ORDER BY market_capitalization DESC
""").fetchall()
print_table(["symbol", "name", "sector", "$$ bn", "P/E", "observed"], rows)
endef
export DEMO_LATEST

demo: .venv/runtime ## collect 25 invented companies twice, and show the results; needs no key
	@rm -rf .demo && mkdir -p .demo/config
	@printf '%s\n' "$$DEMO_CONFIG" > .demo/config/pipeline.toml
	@set -e; cd .demo; PATH="$(CURDIR)/$(BIN):$$PATH"; \
	if [ -t 1 ]; then bold='\033[1m' plain='\033[0m'; else bold= plain=; fi; \
	say() { printf "\n$$bold%s$$plain\n" "$$*"; }; \
	run() { printf '\n$$ pipeline %s\n' "$$*"; pipeline "$$@" 2>>log.txt || { cat log.txt >&2; exit 1; }; }; \
	pipeline sandbox --listing > listing.csv; \
	{ grep ',Stock,' listing.csv | head -24; grep -e '^QUVEX-B,' -e '^OXNEV,' listing.csv; } \
	  | cut -d, -f1 > config/symbols.txt; \
	week_ago=$$(python -c 'from datetime import *; print(datetime.now(timezone.utc).date() - timedelta(days=7))'); \
	echo "new folder .demo: a configuration with 26 symbols, one of which the sandbox API does not cover"; \
	say 'A week ago: all symbols are due, and are requested at the same time, within the plan'; \
	run collect --sandbox --day $$week_ago; \
	say 'Today: an overview that changed is stored as a new snapshot beside the old one'; \
	run collect --sandbox; \
	say 'The status: what is stored, the last run, stale symbols, and the quota left'; \
	run status; \
	say 'Once more: nothing is due, so nothing is requested'; \
	run collect --sandbox; \
	say 'The data: the view latest_overviews in sandbox.db, which any SQLite tool can query'; \
	python -c "$$DEMO_LATEST"; \
	say 'Point in time: what was known five days ago'; \
	run as-of 5d QUVEX-B ABOLK ADONK --field market_capitalization --field pe_ratio --field latest_quarter; \
	say 'Changes since the last run began, of 20% or more'; \
	run changes --min-change 20%; \
	say 'One company over time'; \
	run history QUVEX-B market_capitalization pe_ratio eps latest_quarter; \
	say 'Next: cd .demo (log.txt has what went to stderr), and try'; \
	printf '  ../$(BIN)/pipeline %-14s %s\n' \
	  runs 'each run and its outcomes' \
	  symbols 'each symbol and its state' \
	  plan 'what is due, and how long it would take' \
	  schedule 'when the daemon would collect' \
	  'run --sandbox' 'the daemon; stop it with Ctrl-C' \
	  doctor 'what is wrong, and how to fix it' \
	  --help 'all commands'

# To work on it

test: .venv/dev ## run the tests, with branch coverage
	@$(BIN)/python -m pytest -n 2 --cov --cov-report=term:skip-covered

lint: .venv/dev ## check format, rules and types
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: .venv/dev ## put the code into shape
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

docs: .venv/dev ## write the generated parts of docs/ again
	@$(BIN)/python -m tests.docs.generate

bench: .venv/dev ## measure what the README promises, as ratios
	@$(BIN)/python -m benchmarks

# By the oldest Python, so that no requirement of it is lost: newer ones need fewer. Hashes, and no address or path.
# LOCK_FLAGS=--upgrade takes the newest versions.
compile = CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
  --no-emit-options --no-emit-index-url --no-emit-find-links --no-emit-trusted-host $(LOCK_FLAGS)

lock: .venv/dev ## compile requirements*.txt from pyproject.toml
	@$(BIN)/python -c 'import sys; sys.exit("Python 3.11 makes the locks: make clean; make lock PYTHON=python3.11" \
	  if sys.version_info[:2] != (3, 11) else 0)'
	$(compile) --output-file requirements.txt pyproject.toml
	$(compile) --output-file requirements-build.txt --all-build-deps --only-build-deps pyproject.toml
	$(compile) --output-file requirements-dev.txt --extra dev -c requirements.txt -c requirements-build.txt pyproject.toml
	$(compile) --output-file requirements-notify.txt --extra notify -c requirements.txt -c requirements-dev.txt pyproject.toml

clean: ## remove all that was made here
	rm -rf .venv .demo build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
