# Needs Python 3.11 to 3.13 and make. Everything is installed into .venv, from constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: install demo test check format bench faults docs clean

install: $(READY)

$(READY): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "rec-export needs Python 3.11, 3.12 or 3.13 (TorchScript ends there); try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

# The main job on a made-up shop; every step's result is left in demo/.
demo: $(READY)
	@rm -rf demo
	@$(BIN)/rec-export -q sample-data demo/shop
	@$(BIN)/rec-export run demo/shop/interactions.parquet --items demo/shop/items.parquet --users demo/shop/users.parquet --k 20 -o demo/out

# A process a core, four at most: each holds torch, whose threads would wait for work on the cores of the others if they
# were not told to sleep. Hundreds of processes are started, none of which needs to compile what others have compiled.
# `.venv/bin/python -m pytest` runs the same in one.
test: $(READY)
	OMP_WAIT_POLICY=PASSIVE PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

check: $(READY)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Scoring speed: dot products beside the usual ways to them, MLP heads beside the network as it is usually written, and
# what business rules cost.
bench: $(READY)
	$(BIN)/rec-export bench
	$(BIN)/python -m benchmarks.scoring
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.rules

# Kills, flipped bits, full disks and readers beside a writer, against the real command line; about an hour. One section
# of docs/reliability.md alone, in minutes: .venv/bin/python -m tests.faults.table tests/faults/test_damage.py
faults: $(READY)
	$(BIN)/python -m tests.faults.table

# The documents as a site, in site/.
docs: $(READY)
	$(BIN)/python -m docs.command_pages
	$(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf .venv demo site
