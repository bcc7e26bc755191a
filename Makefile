# The three things people type, and the ones that developers do.
PYTHON ?= python3.11
BIN := .venv/bin
EXTRA ?= cpu

.PHONY: install demo test test-long check bench docs screenshot requirements clean

install: .venv/installed
	@$(BIN)/python -m warehouse.jars
	@$(BIN)/python -m warehouse.class_archive
	@$(BIN)/python -m models.prepare

.venv/installed: requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not installed; install Python 3.11, or run: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check "uv==0.13.9"
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: install
	@$(BIN)/nightjar demo

# Two at a time: Spark plans in one thread, and most of a test over a few rows is planning.
test: install
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# Whole clusters, schedules and nights beside each other: minutes each, so not with the others.
test-long: install
	$(BIN)/pytest -m long

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy flows tasks models schemas warehouse serving

# Those that need no data beside what is installed; together they take well over an hour on two cores.
BENCHMARKS = warehouse race kills generation memory embedding index refresh swap scale estimates
bench: install
	@for name in $(BENCHMARKS); do echo "bench.$$name"; $(BIN)/python -m bench.$$name || exit; done

docs: .venv/installed
	$(BIN)/python -m schemas.documentation > docs/tables.md

# The README's picture of the search page, of the live demo index: make demo first. Needs chromium and chromedriver.
screenshot: install
	$(BIN)/python -m docs.screenshot

# Pins every version; names no index, so that it installs from whichever one a machine is set up for.
requirements: .venv/installed
	$(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --extra $(EXTRA) --group dev --no-header \
		--no-annotate --no-emit-index-url --output-file requirements.txt pyproject.toml

clean:
	rm -rf data .pytest_cache .ruff_cache .mypy_cache
