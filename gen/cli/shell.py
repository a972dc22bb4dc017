"""What the subcommands share: exit codes, one-line errors, checked numbers, progress."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import click

from gatefold.gen.errors import NumbersWarning, UserError, quoted
from gatefold.gen.options import LIMITS, parsed

__all__ = ["Commands", "Number", "description", "note", "number", "numbers",
           "working"]

FINE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130


class Number(click.ParamType):
    """An integer or real option of :data:`~gatefold.gen.options.LIMITS`."""

    name = "number"

    def __init__(self, option: str):
        self.option = option

    def convert(self, value, param, ctx):
        return parsed(self.option, value) if isinstance(value, str) else value


def number(option: str, text: str, **settings) -> Callable:
    """A click option of :data:`~gatefold.gen.options.LIMITS`, which its help states."""
    limit = LIMITS[option]
    return click.option(f"--{option}", type=Number(option), metavar="N",
                        help=f"{text} ({str(limit).removeprefix('an integer in ')}).", **settings)


def description(command: Callable) -> Callable:
    """The option ``--network`` of a command that loads MODEL, as its argument ``description``."""
    return click.option("--network", "description", metavar="NET.toml", help="With a MODEL of "
                        "weights alone (.safetensors, .npz): the file that describes their "
                        "network.")(command)


def numbers(command: Callable) -> Callable:
    """The options that say how formats are chosen, whatever the widths."""
    rules = {"metavar": "max|percentile|mse", "default": "max", "show_default": True}
    for option in reversed((
            number("cell-width", "Bits of the cell state", default=18, show_default=True),
            number("table-bits", "Bits of the tanh table's results; else by the width of "
                   "activations"),
            click.option("--rule", help="How formats of values are chosen from what calibration "
                         "saw.", **rules),
            click.option("--weight-rule", help="The same for weights; other than max, single "
                         "weights may saturate.", **rules),
            click.option("--percentile", metavar="P", type=float, default=99.9, show_default=True,
                         help="What the rule percentile keeps, in per cent."))):
        command = option(command)
    return command


class Commands(click.Group):
    """A group whose ``main`` turns what commands raise into one line and an exit code.

    0 fine, 1 a check failed, 2 the input, the options or the machine are wrong, 130 interrupted. A
    traceback means a mistake in Gatefold.
    """

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **extra)
        sys.exit(self._status(*args, **extra))

    def _status(self, *args: Any, **extra: Any) -> int:
        try:
            with _noted():
                code = super().main(*args, standalone_mode=False, **extra)
            sys.stdout.flush()
            return code if isinstance(code, int) else FINE
        except UserError as error:
            return _told("error", str(error), WRONG)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            return WRONG
        except click.ClickException as error:
            where = getattr(error, "ctx", None)
            hint = f": see `{where.command_path} --help`" if where else ""
            return _told("error", error.format_message().rstrip(".") + hint, WRONG)
        except (click.Abort, KeyboardInterrupt):
            return _told("error", "interrupted", INTERRUPTED)
        except BrokenPipeError:
            # Whoever read our output has left; the interpreter must not try to flush it again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + signal.SIGPIPE
        except MemoryError:
            return _told("error", "not enough memory: use a smaller network or fewer samples",
                         WRONG)
        except OSError as error:
            what = f"{quoted(error.filename)}: " if error.filename else ""
            return _told("error", f"{what}{error.strerror or error}", WRONG)
        except Exception as error:
            if type(error).__name__ != "CheckFailed":  # sim is not imported unless it ran
                raise
            return _told("check failed", str(error), FAILED)


def _told(kind: str, text: str, code: int) -> int:
    click.echo(f"gatefold: {kind}: {' '.join(text.split())}", err=True)
    return code


@contextlib.contextmanager
def _noted() -> Iterator[None]:
    """Warnings about numbers as notes."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", NumbersWarning)
        shown = warnings.showwarning

        def show(message, category, *where):
            if issubclass(category, NumbersWarning):
                note(str(message))
            else:
                shown(message, category, *where)

        warnings.showwarning = show
        yield


def note(text: str) -> None:
    """A line for the user that is no result: to standard error."""
    click.echo(f"gatefold: {text}", err=True)


@contextlib.contextmanager
def working(stage: str) -> Iterator[Callable[[str], None]]:
    """A spinner on standard error, on a terminal only; the block may call it with a new stage."""
    if not sys.stderr.isatty():
        yield lambda _stage: None
        return
    from rich.console import Console

    with Console(stderr=True).status(stage) as status:
        yield status.update
