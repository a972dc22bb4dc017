"""The formulas against ``measured.json``: no synthesis, so that a test can do it."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

from gatefold.gen.plan.amounts import Resources, total
from gatefold.gen.plan.resources import components
from gatefold.hdl import kinds as hdl_kinds
from gatefold.hdl.config import EngineConfig, TableConfig
from gatefold.hdl.kinds import Gate, Kind, Scale, Squash

__all__ = ["FANOUT", "KINDS", "LIMITS", "MAX_LEVELS", "MEASURED", "config_as_dict", "config_of",
           "errors", "failures", "groups", "pairs", "per_component"]

MEASURED = Path(__file__).with_name("measured.json")
FANOUT = Path(__file__).with_name("fanout.json")
KINDS = tuple(field.name for field in fields(Resources))
LIMITS = {"mean": 0.10, "worst": 0.25}

#: LUT levels that a path between registers may have; of carry chains it may have one.
MAX_LEVELS = 6


def config_as_dict(config: EngineConfig) -> dict:
    """``config`` for JSON; a finish kind also names its class."""
    return asdict(config) | {"kinds": [{"kind": type(kind).__name__} | asdict(kind)
                                       for kind in config.kinds]}


def config_of(entry: dict) -> EngineConfig:
    """The configuration that a core was synthesised with."""
    values = dict(entry["config"])
    for name in ("table", "curve"):
        values[name] = values[name] and TableConfig(**values[name])
    values["kinds"] = tuple(_kind(dict(kind)) for kind in values["kinds"])
    values["aligns"] = tuple(values["aligns"])
    values["routes"] = tuple(map(tuple, values["routes"]))
    return EngineConfig(**values)


def _kind(values: dict) -> Kind:
    kind = getattr(hdl_kinds, values.pop("kind"))
    for name, value in values.items():
        if isinstance(value, dict):
            values[name] = _part(value)
        elif isinstance(value, list):
            values[name] = tuple(_part(one) if isinstance(one, dict) else one for one in value)
    return kind(**values)


def _part(value: dict) -> Squash | Gate | Scale:
    """A part of a kind, which its fields tell."""
    kind = Squash if "function" in value else Scale if "multiplier" in value else Gate
    return kind(**value)


def pairs(entry: dict) -> dict[str, tuple[Resources, Resources]]:
    """(estimated, synthesised) of every component of a core and of its ``total``."""
    estimated = components(config_of(entry))
    found = {name: Resources(**part) for name, part in entry["components"].items()}
    out = {name: (estimated.get(name, Resources()), found.get(name, Resources()))
           for name in dict.fromkeys((*estimated, *found))}
    return out | {"total": (total(estimated.values()), total(found.values()))}


def errors(found: dict, kind: str) -> dict[str, float]:
    """Relative error of the total of every core that has any of this resource, or should."""
    out = {}
    for name, entry in found.items():
        estimated, measured = (getattr(side, kind) for side in pairs(entry)["total"])
        if estimated or measured:
            out[name] = (estimated - measured) / measured if measured else float("inf")
    return out


def groups(found: dict) -> dict[str, dict]:
    """The cores that the formulas were fitted to, and those that they were not."""
    return {label: {name: entry for name, entry in found.items() if entry["held_out"] == held}
            for label, held in (("fitted", False), ("held out", True))}


def per_component(found: dict) -> dict[str, dict[str, tuple[float, float]]]:
    """(estimated, synthesised) of each component and resource, summed over all cores."""
    out: dict[str, dict[str, tuple[float, float]]] = {}
    for entry in found.values():
        for name, sides in pairs(entry).items():
            sums = out.setdefault(name, dict.fromkeys(KINDS, (0, 0)))
            for kind in KINDS:
                a, b = sums[kind]
                sums[kind] = a + getattr(sides[0], kind), b + getattr(sides[1], kind)
    out["total"] = out.pop("total")  # last
    return out


def failures(found: dict) -> list[str]:
    """Messages about the limits that are not kept; empty if all are."""
    wrong = []
    for label, cores in groups(found).items():
        for kind in KINDS:
            off = errors(cores, kind)
            mean = sum(map(abs, off.values())) / max(1, len(off))
            if mean > LIMITS["mean"]:
                wrong.append(f"{kind}, {label}: off by {mean:.1%} on average, the limit is "
                             f"{LIMITS['mean']:.0%}")
            wrong += [f"{kind}: off by {value:+.1%} in {name}, the limit is {LIMITS['worst']:.0%}"
                      for name, value in off.items() if abs(value) > LIMITS["worst"]]
    for name, entry in found.items():
        estimated, measured = pairs(entry)["rows"]
        if estimated.ff != measured.ff:
            wrong.append(f"{name}: rows have {measured.ff} flip-flops, their trees, start values "
                         f"and accumulators are {estimated.ff}")
    wrong += [f"{name}: a multiplier takes {entry['lane_fabric']['lut']} LUTs and "
              f"{entry['lane_fabric']['ff']} flip-flops of fabric"
              for name, entry in found.items() if any(entry["lane_fabric"].values())]
    for name, entry in found.items():
        for module, kinds in entry["paths"].items():
            for levels, chains, start, end in kinds.values():
                if levels > MAX_LEVELS or chains > 1:
                    wrong.append(f"{name}: {levels} LUT levels and {chains} carry chains from "
                                 f"{start} to {end} ({module})")
    return wrong
