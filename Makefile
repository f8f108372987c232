# Two commands set everything up on a fresh machine: `make fly` and `make test`. Needs Python >= 3.10 and a C compiler.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEED ?= 0
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q -c constraints.txt
NATIVE := $(wildcard CMakeLists.txt */native/*.c */native/*.h)

.PHONY: fly test firmware flash check format clean dist

## train, export, prove, and fly on the virtual Crazyflie; report in runs/fly-SEED/report.html
fly: $(VENV)/.installed
	$(BIN)/fledge fly --seed $(SEED)

## the test suite, on both cores
test: $(VENV)/.developer
	$(BIN)/python -m pytest -n 2 --dist loadfile

## every firmware image that the tools here can build, with flash, RAM, stack and worst tick; CRAZYFLIE_BASE=... adds the
## Crazyflie's
firmware: $(VENV)/.installed
	$(BIN)/python -m fledge_hil.images $(if $(POLICY),--policy $(POLICY))

## a policy or an image onto a drone, checked before and after: make flash POLICY=runs/NAME/policy.npz URI=radio://0/80/2M/E7E7E7E7E7
flash: $(VENV)/.installed
	$(BIN)/fledge flash $(POLICY) $(if $(URI),--uri $(URI))

## lint, format, types and the direction of dependence
check: $(VENV)/.developer
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	git ls-files '*.c' '*.h' | xargs $(BIN)/clang-format --dry-run -Werror
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.developer
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format -q .
	git ls-files '*.c' '*.h' | xargs $(BIN)/clang-format -i

## sdist, and a wheel built from it, into dist/; tried in a fresh virtual environment
dist: $(VENV)/.developer
	rm -rf dist build/smoke
	$(BIN)/python -m build
	$(PYTHON) -m venv build/smoke
	build/smoke/bin/python -m pip --disable-pip-version-check install -q -c constraints.txt dist/*.whl
	cd build/smoke && bin/fledge train --preset fast --no-evaluate --name smoke && bin/fledge check runs/smoke/policy.npz

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "fledge needs Python 3.10 or newer; try make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt $(NATIVE)
	@echo "installing fledge and what it needs into $(VENV) (once; a minute or two)"
	$(PIP) -e .
	@touch $@

$(VENV)/.developer: $(VENV)/.installed
	$(PIP) -e ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
