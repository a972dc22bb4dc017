#!/bin/sh
# Install everything that `make demo` and `make test` need: .venv with the exact versions of
# requirements.lock and gatefold, and as root Icarus Verilog and Tcl from Debian. Quick when there is
# nothing to do.
set -eu
cd "$(dirname "$0")/.."

say() { echo "setup: $*"; }
has() { command -v "$1" >/dev/null 2>&1; }
is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
may_apt() { [ "$(id -u)" = 0 ] && has apt-get; }
apt() {  # the lists may be missing or old, so once more after an update
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$@" >.venv/apt.log 2>&1 ||
        { apt-get update -q >>.venv/apt.log 2>&1 &&
          DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$@" >>.venv/apt.log 2>&1; }
}

# With another lock, project file or place (a virtual environment cannot be moved), do it all again.
key="$(pwd) $(cat requirements.lock pyproject.toml tools/setup.sh | cksum)"
stamp=.venv/setup.stamp

if [ ! -x .venv/bin/gatefold ] || [ "$(cat "$stamp" 2>/dev/null)" != "$key" ]; then
    python=
    for candidate in "${PYTHON:-python3}" python3.11 python3.12 python3.13; do
        if has "$candidate" && is_recent "$candidate"; then python=$candidate; break; fi
    done
    if [ -z "$python" ]; then
        say "Python 3.11 or later not found: install it, or name it: make setup PYTHON=/path" >&2
        exit 1
    fi
    rm -f "$stamp"
    if ! { .venv/bin/python -m pip --version && grep -qF "$(pwd)/.venv/bin/" .venv/bin/pip
         } >/dev/null 2>&1; then
        say "making .venv ($("$python" --version))"
        mkdir -p .venv
        if ! "$python" -c 'import ensurepip' >/dev/null 2>&1 && may_apt; then apt python3-venv || :; fi
        if ! "$python" -m venv --clear .venv; then
            say "python3 -m venv failed: apt-get install python3-venv" >&2
            exit 1
        fi
    fi
    say "installing $(grep -c '==' requirements.lock) pinned packages into .venv (the first time, a few minutes)"
    .venv/bin/python -m pip install -qq --disable-pip-version-check -r requirements.lock
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .

    missing=
    has iverilog || missing="iverilog"
    has tclsh || missing="$missing tcl"
    if [ -n "$missing" ] && may_apt; then
        say "installing$(printf ' %s' $missing) from Debian"
        # shellcheck disable=SC2086  # one word a package
        apt $missing || say "apt-get failed, see .venv/apt.log"
    fi
    echo "$key" >"$stamp"
    say "done: .venv/bin/gatefold"
fi

has iverilog || say "Icarus Verilog is missing: its tests will be skipped (apt-get install iverilog)"
has tclsh || say "tclsh is missing: the tests of the Vivado scripts will be skipped (apt-get install tcl)"
for tool in g++ perl; do
    has $tool || say "$tool is missing: Verilator cannot run (apt-get install g++ perl)"
done
