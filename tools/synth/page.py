"""docs/resources.md from ``measured.json``: tables of figures that are the same in every run."""

from __future__ import annotations

from pathlib import Path

from compare import (
    KINDS,
    LIMITS,
    MAX_LEVELS,
    config_of,
    errors,
    groups,
    pairs,
    per_component,
)

from gatefold.hdl.config import REGION

__all__ = ["NETS", "PAGE", "nets", "render"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "resources.md"
#: Where the section of fanout.py begins, the last of the page.
NETS = "## What a net drives"

_NAMES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram36": "BRAM36", "uram": "URAM"}

_HEAD = Path(__file__).with_name("method.md").read_text()


def render(found: dict, fanout: dict) -> str:
    """The page, Markdown, from ``measured.json`` and ``fanout.json``."""
    return "\n".join([
        _HEAD.format(cases=len(found), **LIMITS), *_summary(found), "", *_totals(found), "",
        "The cores have seeded networks; widths are given as weight/activation/cell state.", "",
        *_cores(found), "", *_parts(found), "", *_lanes(found), "", *_paths(found), "",
        nets(fanout)])


def _table(head: list[str], rows: list[list], left: int = 1) -> list[str]:
    marks = ["---"] * left + ["---:"] * (len(head) - left)
    return [f"| {' | '.join(map(str, row))} |" for row in (head, marks, *rows)]


def _summary(found: dict) -> list[str]:
    rows = []
    for label, cores in groups(found).items():
        for kind in KINDS:
            off = errors(cores, kind)
            if not off:
                continue
            sizes = [abs(value) for value in off.values()]
            worst = max(off, key=lambda name, off=off: abs(off[name]))
            rows.append([label, _NAMES[kind], len(off), f"{sum(sizes) / len(sizes):.1%}",
                         f"{off[worst]:+.1%} ({worst})" if off[worst] else "0.0%"])
    return _table(["cores", "resource", "cores that use it", "mean error", "worst"], rows, left=2)


def _totals(found: dict) -> list[str]:
    rows = []
    for name, entry in found.items():
        estimated, measured = pairs(entry)["total"]
        row = [name]
        for kind in KINDS:
            a, b = getattr(estimated, kind), getattr(measured, kind)
            row.append(f"{a:,g} / {b:,g}" + (f" ({(a - b) / b:+.0%})" if kind in ("lut", "ff")
                                             else "") if a or b else "")
        rows.append(row)
    return _table(["core, estimated / synthesised", *_NAMES.values()], rows)


def _cores(found: dict) -> list[str]:
    rows = []
    for name, entry in found.items():
        c = config_of(entry)
        where = {c.weight_style(row) for row in range(c.pe)}
        rows.append([name, entry["sizes"], f"{c.pe} x {c.simd}",
                     f"{len(c.kinds)} / {len(c.routes)}", f"{c.weight_depth} in "
                     + " and ".join(sorted({"distributed": "LUT", "block": "BRAM",
                                            "ultra": "URAM"}[place] for place in where))
                     + (", loaded" if c.loadable else ""), c.park_depth])
    return _table(["core", "network, widths, streams", "pe x simd", "kinds / routes",
                   "weight words", "parking words"], rows, left=5)


def _parts(found: dict) -> list[str]:
    head = ["## By component", "", "The figures are sums over all cores, fitted and "
            "held out. The error may be larger for a component that is small in every core.", ""]
    rows = []
    for name, kinds in per_component(found).items():
        rows.append([f"`{name}`", *(f"{a:,g} / {b:,g}" if a or b else ""
                                    for a, b in (kinds[kind] for kind in KINDS))])
    return head + _table(["component, estimated / synthesised", *_NAMES.values()], rows)


_PAIRS = """\
Two rows of a core in int8 share their slices (hdl/mac_pair.py): n columns of both rows take n \
slices, DSP48E2 for xcup and DSP48E1 for xc7, and no LUT and no flip-flop feeds them \
(tests/synth/test_packed.py)."""


def _lanes(found: dict) -> list[str]:
    rows = {}
    for entry in found.values():
        c = config_of(entry)
        if c.packed:
            continue
        fabric = entry["lane_fabric"]
        rows[c.simd] = [c.simd, entry["components"]["rows"]["dsp"] // c.pe, fabric["lut"],
                        fabric["ff"]]
    return ["## A multiplier is a DSP slice and nothing else", "",
            "These rows were synthesised for xc7. The table counts the LUTs and flip-flops that "
            "feed a slice, and the multiplier registers, by name, that no slice took (where simd "
            "is 1, the name of the P register is lost). In addition, a check ensures that every "
            "row has exactly the flip-flops of its adder tree, start value and accumulator, which "
            "leaves none for a multiplier. The rest of a row is its adder tree, accumulator, start "
            "value and parked sums.", "", _PAIRS, "",
            *_table(["simd", "DSP slices", "LUTs of the multipliers", "flip-flops of the "
                     "multipliers"], [rows[simd] for simd in sorted(rows)], left=0)]


def _paths(found: dict) -> list[str]:
    deepest: dict[str, dict[str, tuple]] = {}
    for case, entry in found.items():
        for module, kinds in entry["paths"].items():
            for label, (levels, chains, start, end) in kinds.items():
                value = ((levels, chains) if label == "levels" else (chains, levels),
                         (levels, chains, start, end, case))
                old = deepest.setdefault(module, {}).get(label)
                if old is None or value[0] > old[0]:
                    deepest[module][label] = value
    rows = [[f"`hdl/{module}.py`", label, levels, chains, f"`{start}`", f"`{end}`", case]
            for module in sorted(deepest)
            for label, (_, (levels, chains, start, end, case)) in sorted(
                deepest[module].items(), reverse=True)]
    return [
        "## Paths between registers", "",
        f"The goal is at most {MAX_LEVELS} LUT levels, and at most one carry chain, between two "
        "registers. For each component, the table shows the path with the most LUT levels and the "
        "one with the most carry chains that end in it, over all cores and across components. A "
        "carry chain counts once, however long it is, and Yosys also makes one of a sum of two "
        "bits. A ROM in LUTs counts as the levels to its output register. Paths from ports start "
        "at the port.", "",
        *_table(["ends in", "most", "LUT levels", "carry chains", "from", "to", "core"], rows, 2)]


def nets(fanout: dict) -> str:
    """The page's last section, from ``fanout.json``."""
    rows = [[name, " x ".join(map(str, core["array"])), " + ".join(map(str, core["stages"])),
             core["dies"], len(core["offenders"]),
             *(f"{pins:,} `{net}`" for pins, net in (core[place] for place in (
                 "rows", "lanes", "others")))] for name, core in fanout.items()]
    return "\n".join([
        NETS, "",
        f"`make fanout` reads the nets of the benchmark's cores: the pins that each drives, and in "
        f"which rows and lanes these are (gen/synth/fanout.py). A register may drive the rows of "
        f"one region, {REGION} of them, and no decoded control may be broadcast to more. The lanes "
        "of a core, or of each of its dies, count as one region: they take about as many LUTs "
        "together as 16 rows with their weights (3,500 and 5,400 where simd is 6, 18,600 and "
        "18,800 where it is 32). The pins are those before the mapping to LUTs. *Stages* are "
        "`reach` and `gather`. The last columns name the net with the most pins of those that "
        "reach rows, of those that reach lanes, and of all others.", "",
        *_table(["core", "pe x simd", "stages", "dies", "nets that break the rule", "rows", "lanes",
                 "others"], rows), ""])
