# Tries, checks and develops this project. Needs Python 3.11 or newer, make and git.
# Everything is made in .venv and .demo, from the locks: requirements*.txt.

PYTHON ?= python3
LOCK_FLAGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

# Install a lock and the project. Locks are complete: pip resolves and builds nothing, checks every hash, and at
# the end that nothing is missing. Its output is shown only if it fails.
install = { $(PIP) install --no-deps --only-binary :all: --require-hashes -r $(1) && $(PIP) install --no-deps --no-build-isolation -e . \
  && $(PIP) check; } > .venv/log 2>&1 || { cat .venv/log >&2; exit 1; }

# The demo and the tests must not see how the user of this machine configured a database of their own.
unexport $(filter PIPELINE_% ALPHAVANTAGE_API_KEY%,$(.VARIABLES))

# Some images set this. Without bytecode each process compiles everything that it imports, and the tests start many.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test browser screenshots coverage lint format docs bench chaos torture floors lock clean

help: ## show this
	@grep -E '^[a-z]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 13

# The environment. Each step leaves a stamp, so that nothing is installed twice.

# If PYTHON names another Python than the one that .venv has, .venv is made again.
ifneq ($(origin PYTHON),file)
version = $(shell $(1) -c 'import sys; print(sys.version)' 2>&1; true)
ifneq ($(call version,$(PYTHON)),$(call version,$(BIN)/python))
.PHONY: .venv/made
endif
endif

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.13" \
	  if sys.version_info < (3, 11) else 0)'
	@echo "making .venv, with $$($(PYTHON) --version), for this project alone"
	@$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/runtime: .venv/made requirements.txt pyproject.toml
	@echo 'installing what runs it (requirements.txt), and the project itself'
	@$(call install,requirements.txt)
	@touch $@

# What pages need besides, from the lock of all extras: two small packages of its many large ones.
.venv/pages: .venv/runtime requirements-extras.txt
	@awk '/^[^ ]/ { is_kept = /^(jinja2|markupsafe)==/ } is_kept' requirements-extras.txt > .venv/pages.txt
	@$(PIP) install --no-deps --only-binary :all: --require-hashes -r .venv/pages.txt > .venv/log 2>&1 \
	  || { cat .venv/log >&2; exit 1; }
	@touch $@

# It contains requirements.txt.
.venv/dev: .venv/made requirements-dev.txt pyproject.toml
	@echo 'installing what develops it (requirements-dev.txt), and the project itself'
	@$(call install,requirements-dev.txt)
	@touch .venv/runtime .venv/pages $@

# To try it

define DEMO_CONFIG
database = "sandbox.db"

[symbols]
file = "symbols.txt"

[source]
plan = "premium-1200"

[schedule]
cron = "* * * * *"
timezone = "UTC"
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

demo: .venv/pages ## collect 25 invented companies, and show the results; needs no key
	@rm -rf .demo && mkdir -p .demo/config
	@printf '%s\n' "$$DEMO_CONFIG" > .demo/config/pipeline.toml
	@set -e; cd .demo; PATH="$(CURDIR)/$(BIN):$$PATH"; \
	if [ -t 1 ]; then bold='\033[1m' plain='\033[0m'; else bold= plain=; fi; \
	say() { printf "\n$$bold%s$$plain\n" "$$*"; }; \
	run() { \
	  printf '\n$$ pipeline %s\n' "$$*"; \
	  pipeline "$$@" 2>>log.txt || case $$? in 5|7) ;; *) cat log.txt >&2; exit 1;; esac; \
	}; \
	day() { python -c 'import sys; from datetime import *; print(datetime.now(UTC).date() - timedelta(int(sys.argv[1])))' $$1; }; \
	pipeline sandbox --listing > listing.csv; \
	{ grep ',Stock,' listing.csv | head -24; grep -e '^QUVEX-B,' -e '^OXNEV,' listing.csv; } \
	  | cut -d, -f1 > config/symbols.txt; \
	echo "new folder .demo: configured for 26 symbols, one of which the sandbox lacks"; \
	say 'A year, in silence: a collection every 26 days'; \
	for ago in $$(seq 371 -26 33); do pipeline -q collect --sandbox --latency 0 --day $$(day $$ago) 2>>log.txt; done; \
	say 'A week ago: all symbols are due, and requested at the same time'; \
	run collect --sandbox --day $$(day 7); \
	say 'Today, with 25 requests left: what is not reached is deferred'; \
	run collect --sandbox --max-requests 25; \
	say 'The status, whose exit code is 7 where a symbol is stale'; \
	run status; \
	say 'The data: the view latest_overviews, which any SQLite tool can query'; \
	python -c "$$DEMO_LATEST"; \
	say 'Point in time: what was known five days ago'; \
	run as-of 5d QUVEX-B ABOLK ADONK --field pe_ratio --field latest_quarter; \
	say 'Changes since the last run began, of 20% or more'; \
	run changes --min-change 20%; \
	say 'One company over time'; \
	run history QUVEX-B market_capitalization pe_ratio eps latest_quarter; \
	say 'Next: open it in a browser, at http://127.0.0.1:8080 (Ctrl-C ends the server)'; \
	echo '  cd .demo && ../$(BIN)/pipeline serve'; \
	say 'Or ask it here in the terminal, in the folder .demo (log.txt there is its log)'; \
	printf '  ../$(BIN)/pipeline %-38s %s\n' \
	  'history QUVEX-B --plot' 'draw one company' \
	  'panel eps --symbol ABOLK --every 1mo' 'known each month' \
	  'vintages --all' 'restatements' \
	  runs 'past runs' \
	  symbols 'state of each' \
	  plan 'what is due' \
	  'run --sandbox' 'daemon; Ctrl-C' \
	  --help 'all commands'; \
	say 'With your own key and symbols: README.md, "Collect your own"'

# To work on it

# Three workers keep two cores busy: tests wait for processes, browsers and threads of SQLite.
PYTEST := python -m pytest -n 3 --dist worksteal

test: .venv/dev ## run the tests
	@$(BIN)/$(PYTEST)

browser: .venv/dev ## check every page in Chromium, at all widths, in light and dark
	@$(BIN)/python -m pytest -m slow tests/browser

screenshots: .venv/dev ## take the pictures of docs/images again
	@$(BIN)/python -m tests.docs.screenshots

coverage: .venv/dev ## run the tests, and show the branches that none of them takes
	@$(BIN)/$(PYTEST) --cov --cov-report=term-missing:skip-covered

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

# CHAOS has options, such as '--minutes 5 --members 4': python -m tests.chaos --help
chaos: .venv/dev ## kill, freeze and crash the parts of a fleet for 30 minutes, and check what it promises
	@$(BIN)/python -m tests.chaos $(CHAOS)

# TORTURE has options, such as '--short' or '--trial quota': python -m tests.torture --help
torture: .venv/dev ## attack every promise for 30 minutes, and check that mistakes in the code would be found
	@$(BIN)/python -m tests.torture $(TORTURE)

# Floors: every direct dependency at the oldest version that pyproject.toml allows, the others as locked. Python 3.11 only,
# since some of those versions have no wheel for a newer one.

define FLOORS
import re
import tomllib
from pathlib import Path

declared = tomllib.loads(Path("pyproject.toml").read_text())
project, groups = declared["project"], declared["dependency-groups"]
lists = [project["dependencies"], *project["optional-dependencies"].values(), *groups.values()]
direct = {re.match(r"[\w.-]+", requirement)[0].lower() for requirements in lists for requirement in requirements}
pins = re.findall(r"^([\w.-]+)(?:\[.*?\])?(==.*?) *\\?$$", Path("requirements-dev.txt").read_text(), flags=re.MULTILINE)
print(*(name + version for name, version in pins if name not in direct), sep="\n")
endef
export FLOORS

.venv-floors/made: .venv/dev requirements-dev.txt pyproject.toml
	@echo 'making .venv-floors, with every direct dependency at its floor'
	@$(BIN)/uv venv --quiet --clear --python 3.11 .venv-floors
	@$(BIN)/python -c "$$FLOORS" > .venv-floors/constraints.txt
	@$(BIN)/uv pip compile --quiet --resolution lowest-direct --all-extras --group build \
	  -c .venv-floors/constraints.txt -o .venv-floors/requirements.txt pyproject.toml
	@$(BIN)/uv pip install --quiet --python .venv-floors -r .venv-floors/requirements.txt
	@$(BIN)/uv pip install --quiet --python .venv-floors --no-deps --no-build-isolation -e .
	@touch $@

floors: .venv-floors/made ## run the tests with every direct dependency at its floor
	@.venv-floors/bin/$(PYTEST) --ignore tests/install/test_locks.py

# The locks: each complete by itself, for every Python and system supported, with hashes, and no address or path.
# LOCK_FLAGS=--upgrade takes the newest versions.
compile = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
  --generate-hashes --no-strip-extras --custom-compile-command 'make lock' --group build $(LOCK_FLAGS) pyproject.toml

# Not .venv/dev: that wants locks that fit pyproject.toml, and they do not while it is being edited.
$(BIN)/uv: | .venv/made
	@$(PIP) --quiet install --no-deps --only-binary :all: --require-hashes -r requirements-dev.txt

lock: $(BIN)/uv ## compile requirements*.txt from pyproject.toml
	$(compile) -o requirements.txt
	$(compile) -o requirements-extras.txt -c requirements.txt --extra calendars --extra excel --extra fast --extra fleet --extra mcp --extra notify --extra parquet --extra plot --extra web
	$(compile) -o requirements-dev.txt -c requirements-extras.txt --extra dev --extra calendars --extra excel --extra fast --extra fleet --extra mcp --extra notify --extra parquet --extra plot --extra web

clean: ## remove all that was made here
	rm -rf .venv .venv-floors .demo build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
