"""What Vivado wrote: reports/ of an output folder, a bundle of them, or single files.

The timing summary and the utilisation report are read in Vivado's own layout, and ``summary.json``
as ``synth.tcl`` writes it. Where both are there they must agree; either alone is enough for timing
or resources.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatefold.gen.errors import UserError, quoted

__all__ = ["Results", "read_results"]

TIMING, USED, SUMMARY = "timing_summary.rpt", "utilization.rpt", "summary.json"
_BYTES = 1 << 26  # of a file
_MEMBERS = 1000  # of a bundle

#: Rows of the utilisation report, by the names of resources.
_ROWS = {"lut": "CLB LUTs", "ff": "CLB Registers", "bram36": "Block RAM Tile", "uram": "URAM",
         "dsp": "DSPs"}
#: States of a design whose timing is that of its routes.
_ROUTED = ("routed", "physopt postroute")
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"


@dataclass(frozen=True, kw_only=True)
class Results:
    """What Vivado found of a routed core.

    Attributes: ``version`` of Vivado; ``part``, ``top``, as Vivado writes them; ``period_ns`` of
    the clock; ``wns_ns`` and ``whs_ns``, the worst setup and hold slack; ``used``, resources by
    name. Each is None where no file states it.
    """

    version: str
    part: str
    top: str
    period_ns: float | None = None
    wns_ns: float | None = None
    whs_ns: float | None = None
    used: Mapping[str, float] | None = None

    @property
    def timed(self) -> bool:
        """Whether timing is known."""
        return None not in (self.period_ns, self.wns_ns, self.whs_ns)

    @property
    def met(self) -> bool:
        """Whether timing is met."""
        assert self.wns_ns is not None and self.whs_ns is not None
        return self.wns_ns >= 0 and self.whs_ns >= 0

    @property
    def fmax_mhz(self) -> float:
        """The frequency of the slowest path."""
        assert self.period_ns is not None and self.wns_ns is not None
        return 1000 / (self.period_ns - self.wns_ns)


def read_results(path: str | os.PathLike, *, part: str, top: str) -> Results | None:
    """The results at ``path``: a folder with reports, a bundle (.tar.gz), or one of the files.

    None for a folder without any. Raises :class:`UserError` for what cannot be read, is damaged, is
    of another part or top module, or is not of a routed design.
    """
    found = [_check(name, results, part, top) for name, results in (
        (name, _PARSERS[name](name, text)) for name, text in _texts(Path(path)).items())]
    if not found:
        return None
    return _joined(found)


def _texts(path: Path) -> dict[str, str]:
    """The known files by name."""
    try:
        if path.is_dir():
            return {name: _text(name, (path / name).read_bytes()) for name in _PARSERS
                    if (path / name).is_file() and _small(name, (path / name).stat().st_size)}
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UserError(f"{quoted(path.name)} must be a file or folder of Vivado's reports")
            if file.read(2) != b"\x1f\x8b":
                _small(path.name, os.fstat(file.fileno()).st_size)
                file.seek(0)
                return {_kind(path.name): _text(path.name, file.read())}
            file.seek(0)
            return _members(path.name, file)
    except OSError as error:
        raise UserError(f"{quoted(path.name)} cannot be read: {error.strerror or error}: give the "
                        "reports/ of a Vivado run, or report-bundle.tar.gz") from None


def _kind(name: str) -> str:
    """Which of the known files a file of another name is, by its suffix and words."""
    lower = name.lower()
    if lower.endswith(".json"):
        return SUMMARY
    return USED if "util" in lower else TIMING


def _members(bundle: str, file) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:gz") as archive:
            for number, member in enumerate(archive):
                if number >= _MEMBERS:
                    raise UserError(f"{quoted(bundle)} holds more than {_MEMBERS} files: it is no "
                                    "bundle of `make report-bundle`")
                name = Path(member.name).name
                if name in _PARSERS and member.isfile() and _small(name, member.size):
                    content = archive.extractfile(member)
                    assert content is not None
                    found[name] = _text(name, content.read())
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise _damaged(bundle, str(error)) from None
    if not found:
        raise UserError(f"{quoted(bundle)} holds none of {', '.join(_PARSERS)}: make the bundle "
                        "with `make report-bundle` after `make synth`")
    return found


def _small(name: str, size: int) -> bool:
    if size > _BYTES:
        raise UserError(f"{quoted(name)} must be at most {_BYTES >> 20} MiB: it is no report")
    return True


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise _damaged(name, str(error)) from None


def _damaged(name: str, why: str) -> UserError:
    return UserError(f"{quoted(name)} is damaged ({' '.join(why.split())[:100]}): copy it again, "
                     "or run make synth again")


# ---- the files ---------------------------------------------------------------------------------


def _head(name: str, text: str) -> dict[str, str]:
    """The lines "| Key : value" that begin a report."""
    found = dict(re.findall(r"(?m)^\| ([A-Z][A-Za-z ]*?) *: (.*?) *$", text[:8000]))
    for key in ("Tool Version", "Design", "Device"):
        if key not in found:
            raise _damaged(name, f"its head lacks {key}")
    return found


def _parse_timing(name: str, text: str) -> Results:
    head = _head(name, text)
    _, heading, rest = text.partition("| Design Timing Summary\n")
    row = re.search(rf"(?m)^ +({_NUMBER}) +({_NUMBER}) +(\d+) +(\d+) +({_NUMBER}) ", rest[:4000])
    verdict = re.search(r"(?m)^(All user specified timing constraints are met|"
                        r"Timing constraints are not met)\.", rest)
    if not heading or row is None or verdict is None:
        unconstrained = re.search(r"(?m)^ +(NA|inf) ", rest[:4000])
        raise _damaged(name, "no path is constrained" if unconstrained else
                       "its Design Timing Summary is not complete")
    clocks = re.search(r"\| Clock Summary\n.*?\n-----[^\n]*\n((?:\S[^\n]*\n)+)", rest, re.DOTALL)
    periods = re.findall(rf"(?m)^\S+ +\{{[^}}]*\}} +({_NUMBER}) ", clocks[1]) if clocks else []
    if len(periods) != 1:
        raise _damaged(name, f"its Clock Summary lists {len(periods)} clocks, the core has one")
    found = Results(version=_version(name, head["Tool Version"]), top=head["Design"],
                    part=head["Device"], period_ns=float(periods[0]), wns_ns=float(row[1]),
                    whs_ns=float(row[5]))
    if found.met is verdict[1].startswith("Timing"):
        raise _damaged(name, "its slacks and its verdict contradict each other")
    return found


def _parse_used(name: str, text: str) -> Results:
    head = _head(name, text)
    state = head.get("Design State", "not stated")
    if state.lower() not in _ROUTED:
        raise UserError(f"{quoted(name)} is of a design that is not routed (Design State: "
                        f"{quoted(state)}): give the report after route_design")
    used = {}
    for key, row in _ROWS.items():
        count = re.search(rf"(?m)^\|\s*{row}\*?\s*\|\s*([0-9]+(?:\.[0-9]+)?)\s*\|", text)
        if count is not None:
            used[key] = _whole(float(count[1]))
        elif key != "uram":  # a device without UltraRAM has no such row
            raise _damaged(name, f"it lacks the row {row}")
    return Results(version=_version(name, head["Tool Version"]), top=head["Design"],
                   part=head["Device"], used={key: used.get(key, 0) for key in _ROWS})


def _parse_summary(name: str, text: str) -> Results:
    try:
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError("it is no object")
        if found.get("state", "routed") != "routed":
            raise ValueError("it is not of a routed design")
        words = {key: found[key] for key in ("tool", "top", "part")}
        if not all(isinstance(word, str) for word in words.values()):
            raise ValueError("tool, top and part must be strings")
        numbers = {key: _finite(key, found[key])
                   for key in ("period_ns", "wns_ns", "whs_ns", *_ROWS)}
    except KeyError as error:
        raise _damaged(name, f"it lacks {error}") from None
    except (ValueError, RecursionError) as error:
        raise _damaged(name, str(error)) from None
    used = {key: _whole(value) for key in _ROWS if (value := numbers[key]) is not None}
    if None in (numbers["wns_ns"], numbers["whs_ns"]) or numbers["period_ns"] is None:
        raise _damaged(name, "no path is constrained")
    return Results(version=_version(name, words["tool"]), top=words["top"], part=words["part"],
                   period_ns=numbers["period_ns"], wns_ns=numbers["wns_ns"],
                   whs_ns=numbers["whs_ns"],
                   used={key: used.get(key, 0) for key in _ROWS}
                   if used.keys() | {"uram"} == _ROWS.keys() else None)


def _whole(value: float) -> float:
    """``value`` as an integer, if it is one: only block RAM comes in halves."""
    return int(value) if value.is_integer() else value


def _finite(key: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{key} must be a number")
    return float(value)


def _version(name: str, tool: str) -> str:
    found = re.match(r"Vivado v?\.?([0-9]{4}\.[0-9](?:\.[0-9])?)", tool)
    if found is None:
        raise _damaged(name, f"its tool is {quoted(tool)}, not Vivado")
    return found[1]


_PARSERS = {TIMING: _parse_timing, USED: _parse_used, SUMMARY: _parse_summary}


# ---- what belongs together ---------------------------------------------------------------------


def _check(name: str, found: Results, part: str, top: str) -> Results:
    """``found``, checked to be of this core. Reports write parts in several ways: with dashes or
    without, without the speed grade, without "xc"."""
    def plain(text: str) -> str:
        return re.sub(r"[^a-z0-9]", "", text.lower()).removeprefix("xc")

    if len(plain(found.part)) < 6 or not plain(part).startswith(plain(found.part)):
        raise UserError(f"{quoted(name)} is of the part {quoted(found.part)}, this core is for "
                        f"{part}: give the reports of this core")
    if found.top != top:
        raise UserError(f"{quoted(name)} is of the top module {quoted(found.top)}, this core's is "
                        f"{top}: give the reports of this core")
    period = found.period_ns
    if period is not None and not (0 < period <= 1e6 and found.wns_ns is not None
                                   and found.wns_ns < period):
        raise _damaged(name, f"a period of {period} ns and a slack of {found.wns_ns} ns")
    return found


def _joined(found: list[Results]) -> Results:
    """What several files say together, which must not differ."""
    values: dict[str, Any] = {}
    for name in ("version", "period_ns", "wns_ns", "whs_ns", "used"):
        stated = [value for one in found if (value := getattr(one, name)) is not None]
        if any(value != stated[0] for value in stated):
            raise UserError(f"the reports differ in {name} ({quoted(stated[0])}, "
                            f"{quoted(next(value for value in stated if value != stated[0]))}): "
                            "they are of several runs, give those of one")
        values[name] = stated[0] if stated else None
    return Results(**values, part=max((one.part for one in found), key=len), top=found[0].top)
