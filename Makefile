# Everything on a fresh machine: `make demo`, `make test`, `make check`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check

demo: .venv/.installed
	$(BIN)/python demo/track_video.py

test: .venv/.installed
	$(BIN)/python -m pytest

check: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(MAKE) --no-print-directory test

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@
