# make demo    install what is missing, then run the entire pipeline on the example log
# make test    the tests          make check   ruff, mypy, direction of imports
# make bench   the benchmarks     make lock    update the pinned dependencies
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Packages that only torch's CUDA build needs; torch pins them itself.
CUDA := $(shell sed -n 's/^\# left to torch: //p' requirements.lock)

.PHONY: augmenters demo test test-long check format bench lock clean install

install: $(INSTALLED)

$(INSTALLED): requirements.lock requirements-torch.txt pyproject.toml
	@echo "installing into $(VENV) (about two minutes) ..." >&2
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	  || { echo "deskloop needs Python 3.11 to 3.13. Name an interpreter: make PYTHON=python3.12" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements-torch.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Programs that are not on PyPI. Without permission to install them, the run continues and reports it.
augmenters:
	@sh deployments/install-augmenters.sh

demo: $(INSTALLED) augmenters
	@$(BIN)/deskloop run -c examples/support/pipeline.yaml

# The commands that tests start load a few hundred modules each, so their bytecode is kept whatever the environment says.
test test-long: export PYTHONDONTWRITEBYTECODE :=
test: $(INSTALLED) augmenters
	@$(BIN)/python -m pytest -m "not long" -n 3 --dist worksteal

test-long: $(INSTALLED) augmenters
	@$(BIN)/python -m pytest -m long

check: $(INSTALLED)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

format: $(INSTALLED)
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

bench: $(INSTALLED)
	@for script in benchmarks/[a-z]*.py; do $(BIN)/python -m benchmarks.$$(basename $$script .py) || exit 1; done

# With the hashes of every platform's files, so that no index or proxy can substitute others. The lock is complete, hence
# `--no-deps` in the install.
lock: $(INSTALLED)
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile pyproject.toml --extra dev --constraints requirements-torch.txt --universal --python-version 3.11 \
	  --no-annotate --no-header --generate-hashes --no-emit-package torch $(foreach name,$(CUDA),--no-emit-package $(name)) \
	  --quiet -o requirements.lock
	@sed -i '1i # Pinned by `make lock`, with hashes. torch is installed separately (requirements-torch.txt), as are the packages that\n# only its CUDA build needs, which torch pins itself:\n# left to torch: $(CUDA)' requirements.lock

clean:
	rm -rf $(VENV) build dist examples/*/.deskloop
