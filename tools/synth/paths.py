"""The deepest paths of a core, by the component in which they end."""

from __future__ import annotations

import re

from depth import Depth, Path, Ports, analyse, stitch

from gatefold.gen.store.export import TOP
from gatefold.gen.synth import Measured
from gatefold.gen.synth.components import SHARED
from gatefold.hdl.lane_array import LANES

__all__ = ["deepest"]

#: The file of a module in hdl/.
_PART = {"gatefold_row": "mac_row", "gatefold_pair": "mac_pair",
         **{f"gatefold_{name}_lane": f"{name}_lane" for name in LANES},
         "array": "mac_array", "operands": "operand_memory",
         "sequencer": "sequencer", "router": "row_router", "lanes": "lane_array",
         "reader": "frame_reader", "writer": "frame_writer", "loader": "weight_loader"}


def _by_levels(depth: Depth) -> tuple:
    return depth


def _by_chains(depth: Depth) -> tuple:
    return depth[1], depth[0]


def deepest(measured: Measured) -> dict[str, dict[str, list]]:
    """For each component, the path with the most LUT levels and the one with the most carry chains:
    [levels, chains, from, to]. Paths that cross components are followed: they end in the last."""
    out: dict[str, dict[str, list]] = {}
    core = stitch(measured.core, TOP)
    for label, by in (("levels", _by_levels), ("chains", _by_chains)):
        ports: dict[str, Ports] = {}
        for module in SHARED:
            if module in measured.many:
                inside, ports[module] = analyse(measured.many[module], by=by)
                # From the module's ports the way is longer: those paths come with the core.
                own = [path for path in inside if _registers(path, measured.many[module])]
                _keep(out, _PART[module], label, own)
        paths, _ = analyse(core, ports, by=by)
        for path in paths:
            if path.start not in ("clk", "rst"):
                _keep(out, _component(path, core), label, [path])
    return out


def _registers(path: Path, netlist: dict) -> bool:
    return path.start not in netlist["ports"] and not path.end.startswith("port ")


def _component(path: Path, core: dict) -> str:
    kind = core["cells"].get(path.cell, {}).get("type", "").split("\\")[-1]
    if kind in SHARED:
        return _PART[kind]
    found = re.match(r"core\.([a-z]+)", path.cell)
    name = found[1] if found and found[1] in _PART else "lanes"
    if path.end.startswith("port "):
        name = ("reader" if "s_axis" in path.end else
                "loader" if "load" in path.end else "writer")
    return _PART[name]


def _keep(out: dict, component: str, label: str, paths: list[Path]):
    """The first path is the deepest; a component's entry is the first that comes."""
    if paths:
        path = paths[0]
        entry = [path.levels, path.chains, _plain(path.start), _plain(path.end)]
        old = out.setdefault(component, {}).get(label)
        order = (lambda e: e[:2]) if label == "levels" else (lambda e: (e[1], e[0]))
        if old is None or order(entry) > order(old):
            out[component][label] = entry


def _plain(name: str) -> str:
    """A signal's name without the numbers that its generator put there."""
    return re.sub(r"\\?\$(signal\$)?\d+", "", name).strip(".") or "a register"
