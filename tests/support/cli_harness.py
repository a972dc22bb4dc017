"""The command line as tests call it, and small cores to call it on."""

from pathlib import Path

from click.testing import CliRunner, Result

from gatefold.gen.cli import main
from tests.support.places import FIXTURES

MODEL = FIXTURES / "keras_last.keras"  # LSTM 7 on (6, 3), Dense 2
DATA = FIXTURES / "keras_last.npz"  # x, and y as Keras computes it


def gatefold(*args) -> Result:
    """Run ``gatefold ARGS`` in this process; a traceback fails the test."""
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refused(*args, code: int = 2) -> str:
    """The one line that ``gatefold ARGS`` is refused with."""
    result = gatefold(*args)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("gatefold: "), result.stderr
    return lines[0]


def built(folder: Path, *args) -> Path:
    """``folder`` with a core in it, built with ``args`` (a model and options)."""
    result = gatefold("build", *args, "-o", folder)
    assert result.exit_code == 0, result.stderr
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` by its relative path."""
    return {str(p.relative_to(folder)): p.read_bytes()
            for p in sorted(folder.rglob("*")) if p.is_file()}
