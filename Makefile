# make demo, make test: each makes its own environment first (.venv, Python 3.11 or newer).

PYTHON ?= python3
BIN := .venv/bin
# Named after the content of the pins: the environment is made anew when they change.
READY := .venv/.ready-$(shell cksum < requirements.txt | tr ' ' -)

.PHONY: demo test bench lint lock
.DEFAULT_GOAL := demo

demo: $(READY)
	@$(BIN)/python dataset/demo.py

test: $(READY)
	@echo "== tests"
	@$(BIN)/python -m pytest

# Hours on two cores; benchmarks/README.md names shorter ones.
bench: $(READY)
	@$(BIN)/python benchmarks/run.py

lint: $(READY)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

# The exact list of packages: --no-deps, because requirements.override drops one of them.
$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.11")'
	@echo "== making .venv (once; downloads about 3 GB, a few minutes)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.txt
	@touch $@

# Take newer versions of what requirements.in names (needs uv).
lock:
	uv pip compile --upgrade --universal --python-version 3.11 --no-header --no-annotate \
	  --override requirements.override --output-file requirements.txt requirements.in
