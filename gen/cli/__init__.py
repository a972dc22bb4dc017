"""The ``gatefold`` command: one module a subcommand; what they share is ``shell``.

A subcommand's module imports only click and the option tables; the rest is imported when it runs,
so that ``--help`` is quick.
"""

from __future__ import annotations

import click

from gatefold import __version__
from gatefold.gen.cli.boards import boards
from gatefold.gen.cli.build import build
from gatefold.gen.cli.explore import explore
from gatefold.gen.cli.inspect import inspect
from gatefold.gen.cli.report import report
from gatefold.gen.cli.run import run
from gatefold.gen.cli.shell import Commands
from gatefold.gen.cli.verify import verify
from gatefold.gen.cli.weights import weights

__all__ = ["main"]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gatefold", message="%(prog)s %(version)s")
def main():
    """From a trained LSTM network to a verified FPGA core in Verilog.

    Exit codes: 0 fine; 1 a check failed; 2 the input or the options are wrong.
    """


for _command in (inspect, boards, build, run, verify, weights, report, explore):
    main.add_command(_command)
