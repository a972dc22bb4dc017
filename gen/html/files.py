"""Writing the page to a core's folder, and drawing it again if it is out of date."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.files.output import replace_file
from gatefold.gen.html.page import render
from gatefold.gen.plan import Plan
from gatefold.gen.store.folder import load_plan

__all__ = ["PAGE", "plan_of", "refresh_page", "write_page"]

PAGE = "report.html"


def write_page(folder: Path, report: dict, plan: Plan | None) -> None:
    """Write the page of ``report`` to ``folder``: ASCII, the same bytes for the same report.

    ``plan``: the core's; without it (None) the page lacks the drawings that need it.
    """
    (folder / PAGE).write_bytes(_page(report, plan))


def refresh_page(directory: Path, report: dict) -> None:
    """Draw the page in ``directory`` again if it is missing or shows another report."""
    path = directory / PAGE
    stamp = _stamp(report).encode()
    try:
        with path.open("rb") as file:
            if stamp in file.read(4096):
                return
    except FileNotFoundError:
        pass
    replace_file(path, _page(report, plan_of(directory, report)))


def plan_of(directory: Path, report: dict) -> Plan | None:
    """The plan of the core in ``directory``; None if this version plans it differently, or the
    folder lacks the files that the plan is made from."""
    try:
        plan = load_plan(directory)
        reported = (report["cycles"]["latency"], report["cycles"]["tiles"])
    except (UserError, KeyError, TypeError):
        return None
    return plan if (plan.cycles.latency, plan.cycles.tiles) == reported else None


def _stamp(report: dict) -> str:
    text = json.dumps(report, sort_keys=True)
    return f"gatefold-report {hashlib.sha256(text.encode()).hexdigest()}"


def _page(report: dict, plan: Plan | None) -> bytes:
    try:
        page = render(report, plan, _stamp(report))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError,
            ArithmeticError) as error:
        raise UserError(f"the report is damaged ({quoted(error)}): build the folder again"
                        ) from None
    return page.encode("ascii", "xmlcharrefreplace")
