# Gatefold: `make demo` shows what it does, `make test` checks that it does.
# Both set up what they need in .venv; nothing else on the machine is touched, except that Icarus
# Verilog and Tcl are installed from Debian where this runs as root.
.DEFAULT_GOAL := help
.PHONY: help setup demo bench accuracy full-size test lint long synth-check clean
unexport MAKEFLAGS MFLAGS
PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin

help: ## this list
	@sed -n 's/^\([a-z-]*\): .*## /  make \1	/p' Makefile

setup: ## the virtual environment .venv with the gatefold command in it
	@PYTHON=$(PYTHON) tools/setup.sh

demo: setup ## build the shipped model for the ZCU104, run it, prove it, print the table
	@$(BIN)/python tools/demo.py

bench: setup ## every network on both boards beside published figures and this machine's CPU
	@$(BIN)/python bench/run.py

full-size: setup ## every network at its full size, proved in Verilator (hours; goes on where it stopped)
	@$(BIN)/python bench/full_size.py

accuracy: setup ## detection accuracy of the shipped autoencoder by number format (minutes)
	@$(BIN)/python bench/accuracy/evaluate.py

test: lint ## lint, types and the tests (under 20 minutes on 2 cores)
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS)

lint: setup ## ruff and pyright
	$(BIN)/ruff check .
	$(BIN)/pyright

long: setup ## the checks that take longer
	$(BIN)/python -m pytest -q -n $(JOBS) -m long

synth-check: setup ## synthesise twenty cores with Yosys, compare the resource formulas (minutes)
	$(BIN)/python tools/synth/calibrate.py

clean: ## remove what was built, not .venv
	rm -rf build out
