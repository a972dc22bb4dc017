"""What the subcommands share: exit codes, one-line errors, declared options, progress."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from gatefold.gen.errors import NumbersWarning, UserError, quoted
from gatefold.gen.options import Option, Options, ShapeOptions

__all__ = ["FAILED", "FINE", "Commands", "cuts", "declared", "described_option", "description",
           "note", "sized", "states", "timesteps", "working"]

FINE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130


class _Value(click.ParamType):
    """The value of a declared option."""

    name = "value"

    def __init__(self, option: Option):
        self.option = option

    def convert(self, value, param, ctx):
        return self.option.parse(value)


def declared(options: type[Options]) -> Callable:
    """The options of a command, which are its further keyword arguments."""
    def decorated(command: Callable) -> Callable:
        for one in reversed(options.declared()):
            settings: dict[str, Any] = {"is_flag": True} if one.default is False else {
                "type": _Value(one), "metavar": one.legal.metavar,
                "default": None if one.default is None else one.legal.written(one.default),
                "show_default": one.default is not None}
            command = click.option(one.name, one.field, help=one.help, **settings)(command)
        return command
    return decorated


def description(command: Callable) -> Callable:
    """The option ``--network`` of a command that loads MODEL, as its argument ``description``."""
    return click.option("--network", "description", metavar="NET.toml", help="The file that "
                        "describes the network, if MODEL holds only weights (.safetensors, "
                        ".npz).")(command)


def cuts(command: Callable) -> Callable:
    """The options of a command that loads MODEL and may cut it: ``cut``, ``first`` and ``last``."""
    command = click.option("--to", "last", metavar="NAME", help="Cut MODEL after this layer or "
                           "node: the host computes the layers after it. With --cut auto: take "
                           "MODEL as far as this, and leave out what follows.")(command)
    command = click.option("--from", "first", metavar="NAME", help="Cut MODEL before this layer or "
                           "node: the host computes the layers before it. With --cut auto: take a "
                           "Keras MODEL from this layer on, and leave out what precedes.")(command)
    return click.option("--cut", metavar="auto", help="Make the core of the part of MODEL with the "
                        "recurrent layers; the host computes layers before and after it that "
                        "the core cannot compute (DIR/host, `gatefold run`).")(command)


def sized(command: Callable) -> Callable:
    """The option ``--set`` of a command that loads MODEL, as its argument ``sized``."""
    return click.option("--set", "sized", metavar="NAME=VALUE", multiple=True, help="Fix a "
                        "dimension that MODEL leaves open, by its name; may be repeated.")(command)


def states(command: Callable) -> Callable:
    """The option ``--state`` of a command that loads MODEL, as its argument ``states``."""
    return click.option("--state", "states", metavar="OUT:IN,...", default="auto", help="Which "
                        "outputs of MODEL are states that its caller hands back as inputs: the "
                        "core keeps them itself. By default Gatefold finds them; none leaves all "
                        "ports as they are.")(command)


def described_option(options: type[Options], field: str, help: str) -> Callable:
    """One option of ``options``, with another help text."""
    one = next(one for one in options.declared() if one.field == field)
    return click.option(one.name, one.field, type=_Value(one), metavar=one.legal.metavar, help=help)


def timesteps(command: Callable) -> Callable:
    """The options ``--timesteps`` and ``--set`` of a command that loads MODEL."""
    return described_option(ShapeOptions, "timesteps", "Fix the number of timesteps that MODEL "
                            "leaves open.")(sized(command))


@dataclass
class _Mode:
    """How much a command prints: ``verbose``, every stage; ``quiet``, only results and errors;
    ``json``, errors as JSON."""

    verbose: bool = False
    quiet: bool = False
    json: bool = False

    def options(self) -> list[click.Parameter]:
        """The options of every command that set it."""
        def flag(names: list[str], field: str, text: str) -> click.Option:
            def taken(_context: click.Context, _option: click.Parameter, value: bool) -> None:
                setattr(self, field, value)
            return click.Option(names, is_flag=True, expose_value=False, callback=taken, help=text)
        return [flag(["-v", "--verbose"], "verbose", "Print every stage, with the time."),
                flag(["-q", "--quiet"], "quiet", "Print only results and errors."),
                flag(["--json"], "json", "Print an error as JSON.")]


_MODE = _Mode()


class Commands(click.Group):
    """A group whose ``main`` turns what commands raise into one line and an exit code.

    0 fine, 1 a check failed, 2 the input, the options or the machine are wrong, 130 interrupted. A
    traceback is a bug in Gatefold.
    """

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command, with the options that all have."""
        own = {word for param in cmd.params for word in param.opts}
        cmd.params += [one for one in _MODE.options() if not own & set(one.opts)]
        super().add_command(cmd, name)

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **extra)
        sys.exit(self._status(*args, **extra))

    def _status(self, *args: Any, **extra: Any) -> int:
        words = args[0] if args else extra.get("args") or sys.argv[1:]
        _MODE.verbose = _MODE.quiet = False
        _MODE.json = "--json" in words  # known before the options are read, which may fail
        try:
            signal.signal(signal.SIGTERM, _interrupt)
            with _noted():
                code = super().main(*args, standalone_mode=False, **extra)
            sys.stdout.flush()
            return code if isinstance(code, int) else FINE
        except UserError as error:
            return _failed("error", str(error), WRONG)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            return WRONG
        except click.ClickException as error:
            where = getattr(error, "ctx", None)
            hint = f": see `{where.command_path} --help`" if where else ""
            return _failed("error", error.format_message().rstrip(".") + hint, WRONG)
        except (click.Abort, KeyboardInterrupt):
            warnings.simplefilter("ignore")  # Amaranth warns of components that were left behind
            return _failed("error", "interrupted", INTERRUPTED)
        except BrokenPipeError:
            # The reader of our output has gone: the interpreter must not flush it again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + signal.SIGPIPE
        except MemoryError:
            return _failed("error", "not enough memory: use a smaller network or fewer samples",
                         WRONG)
        except OSError as error:
            what = f"{quoted(error.filename)}: " if error.filename else ""
            return _failed("error", f"{what}{error.strerror or error}", WRONG)
        except Exception as error:
            if type(error).__name__ != "CheckFailed":  # sim is not imported unless it ran
                raise
            return _failed("check failed", str(error), FAILED)


def _interrupt(_number: int, _frame: Any) -> None:
    """SIGTERM ends a command as Ctrl-C does."""
    raise KeyboardInterrupt


def _failed(kind: str, text: str, code: int) -> int:
    line = " ".join(text.split())
    if _MODE.json:
        line = json.dumps({"error": line, "kind": kind, "exit_code": code})
    click.echo(line if _MODE.json else f"gatefold: {kind}: {line}", err=True)
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
    """Print a remark, which is no result, to standard error."""
    if not _MODE.quiet:
        click.echo(f"gatefold: {text}", err=True)


#: Seconds between lines about progress where there is no terminal.
_QUIET = 10


@contextlib.contextmanager
def working(stage: str) -> Iterator[Callable[[str], None]]:
    """A spinner on standard error, or a line there now and then if that is no terminal; the block
    calls it with each stage."""
    if _MODE.verbose or _MODE.quiet or not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console

    with Console(stderr=True).status(stage) as status:
        yield status.update


def _lines() -> Callable[[str], None]:
    """Prints what it is called with, at most every :data:`_QUIET` seconds unless all is wanted."""
    started = last = time.monotonic()

    def say(stage: str) -> None:
        nonlocal last
        now = time.monotonic()
        if _MODE.verbose:
            click.echo(f"gatefold: {now - started:6.1f} s  {stage}", err=True)
        elif now - last >= _QUIET:
            last = now
            note(stage)

    return say
