# make demo   see hearth work, on any machine with Python 3.11+
# make test   lint, types, all tests
# Both make their own environment in .venv; nothing outside this folder is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test lint types bench faults torture mutants hil fuzz home-assistant lock clean

demo: $(VENV)/.sim
	@$(BIN)/hearth demo $(DEMO)

test: $(VENV)/.dev lint types
	$(BIN)/python -m pytest $(TESTS)

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.run

# What must not lose a call, with a real broker, network and database: make faults FAULTS="--list".
faults: $(VENV)/.dev
	$(BIN)/python tests/faults/run.py $(FAULTS)

# The journal's cases by the ten thousand: make torture TORTURE="--cases 50000".
torture: $(VENV)/.dev
	$(BIN)/python tests/journal/torture.py $(TORTURE)

# Deliberate faults of the journal, each of which its tests must notice (tests/mutants/).
mutants: $(VENV)/.dev
	$(BIN)/python tests/mutants/run.py $(MUTANTS)

# A day of people with wristbands, at speed: make hil HIL="--seconds 300 --bands 12".
# Then 10,000 polls of meters on bad wires: make hil HIL_METERS="--polls 2000 --seed 4".
hil: $(VENV)/.dev
	$(BIN)/python tests/hil/day.py $(HIL)
	$(BIN)/python tests/hil/meters.py $(HIL_METERS)

# A million frames that nobody meant: make fuzz FUZZ="--frames 5000000 --seed 3".
fuzz: $(VENV)/.dev
	$(BIN)/python tests/fuzz/frames.py $(FUZZ)

# hearth's devices in a real Home Assistant: make home-assistant HASS=/path/to/bin/hass
home-assistant: $(VENV)/.dev
	$(BIN)/python tests/mirror/with_home_assistant.py --hass $(HASS)

# Pins what CI and `make` install, for every Python and platform hearth supports.
lock: $(VENV)/.dev
	$(PIP) install uv
	$(BIN)/uv pip compile pyproject.toml --extra sim --extra dev --extra postgres --extra webhook --universal \
	  --no-emit-index-url --no-header --no-annotate --upgrade -o requirements.lock

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hearth needs Python 3.11 or newer; try make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.sim: $(VENV)/.python pyproject.toml requirements.lock
	$(PIP) install --constraint requirements.lock --editable '.[sim]'
	@touch $@

$(VENV)/.dev: $(VENV)/.python pyproject.toml requirements.lock
	$(PIP) install --constraint requirements.lock --editable '.[sim,dev,postgres,webhook]'
	@touch $@ $(VENV)/.sim
