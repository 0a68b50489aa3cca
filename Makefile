# The two commands of the README. Each does its own set-up, once.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Four workers keep two processors busy, as tests wait now and then; who has none left takes some of another's.
PYTEST := $(BIN)/python -m pytest -n 4 --dist worksteal

# Compiled once: programs that tests start, and the tests themselves, are read many times.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-slow lint hooks clean

run: $(VENV)/.requirements
	$(BIN)/python app.py $(ARGS)

test: $(VENV)/.requirements-dev
	$(BIN)/python tests/browser.py
	$(BIN)/python tests/tools.py
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST) -m "not slow" $(ARGS)

# The rest: what is dear by nature. Together with `test`, every test is run once.
test-slow: $(VENV)/.requirements-dev
	$(BIN)/python tests/browser.py
	$(BIN)/python tests/tools.py
	$(PYTEST) -m slow $(ARGS)

lint: $(VENV)/.requirements-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy

hooks: $(VENV)/.requirements-dev
	$(BIN)/pre-commit install

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.requirements: requirements.txt $(VENV)/bin/python
	$(BIN)/python deploy/install.py -r requirements.txt
	touch $@

# Both files in one go, as resolving takes half a minute; pip would compile with one core.
$(VENV)/.requirements-dev: requirements-dev.txt requirements.txt $(VENV)/bin/python
	$(BIN)/python deploy/install.py -r requirements-dev.txt --no-compile
	-$(BIN)/python -m compileall -q -j 0 $(VENV)/lib > /dev/null
	touch $(VENV)/.requirements $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis .cache dist tests/screenshots
