"""The page: its head, which lets nothing but its own script run, and its sections."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from importlib.resources import files

from gatefold.gen.html.attempts import search_section
from gatefold.gen.html.markup import Markup, badge, flat, plural, tag
from gatefold.gen.html.sections import (
    cut_section,
    cycles_section,
    host_section,
    inside_section,
    network_section,
    numbers_section,
    origin_section,
    resources_section,
    schedule_section,
    step_section,
    verified_section,
)
from gatefold.gen.html.words import in_turn, net_title
from gatefold.gen.plan import Plan

__all__ = ["page_style", "render"]


def render(report: dict, plan: Plan | None, stamp: str = "") -> str:
    """The page of ``report`` (see :mod:`gatefold.gen.report`), drawn with ``plan``.

    ``stamp``: put into the head. Nothing in the result depends on the time or the place.
    """
    script, style = _own("page.js"), page_style()
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
              "base-uri 'none'; form-action 'none'")
    colours = {name: place for place, name in enumerate(report["numbers"]["layers"])}
    layers = net_title(report["network"], set(colours))
    title = str(report["network"]["source"].get("name") or layers)
    board = report["board"]
    head = tag(
        "head", tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=stamp),
        tag("title", f"{title} on {board['name'] if board else 'an FPGA'}: Gatefold report"),
        tag("style", style))
    sections = [verified_section(report), cut_section(report), network_section(report, colours),
                schedule_section(report, plan, colours),
                step_section(plan), cycles_section(report), host_section(report),
                resources_section(report),
                numbers_section(report), search_section(report), inside_section(report),
                origin_section(report)]
    body = tag("body", tag("main", _header(report, title, layers), *sections, _footer()),
               tag("script", script))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def page_style() -> Markup:
    """The style of Gatefold's pages."""
    return _own("page.css")


def _own(name: str) -> Markup:
    """A file of this package, which is trusted text."""
    return Markup((files("gatefold.gen.html") / name).read_text(encoding="ascii"))


def _header(report: dict, title: str, layers: str) -> Markup:
    cycles, clock, array = report["cycles"], report["clock_mhz"], report["array"]
    error, board = report["numbers"]["error"], report["board"]
    seen = report["verified"]
    steady = any(done["interval"] is not None for done in seen)
    relative = error["rms_relative"]
    known = "routed" if "asked" in clock else clock["source"]
    if known == "routed":
        clock = clock | {"rests_on": f"{clock['source']}; {clock['rests_on']}"}
    where = f"{board['title']}, {board['part']}" if board else "no board chosen"
    where = where if title == layers else f"{layers}; {where}"
    facts = [
        _fact(f"{report['latency_us']:,.2f}", "\N{MICRO SIGN}s", "latency",
              f"{cycles['latency']:,} cycles at {clock['value']:g} MHz; {clock['rests_on']}",
              "simulated" if seen else "planned", known),
        _fact(f"{1e6 / report['interval_us']:,.0f}", "/ s", "frames, back to back",
              f"one every {cycles['interval']:,} cycles{in_turn(cycles)}",
              "simulated" if steady else "planned", known),
        _fact(f"{array['multipliers']:,}", "", "multipliers",
              f"{array['pe']} \N{MULTIPLICATION SIGN} {array['simd']}, "
              f"{'two in a DSP slice, ' if array['packed'] else ''}{array['lanes']} lanes, "
              f"{100 * array['utilisation']:.1f} % of them useful; registers for distance: reach "
              f"{array['reach']}, gather {array['gather']}, dies {array['dies']}, cross "
              f"{array['cross']}", "planned"),
        _fact(f"{error['rms']:.2g}" if relative is None else f"{100 * relative:.2g}",
              "" if relative is None else "%", "RMS error against float",
              "of the output" if relative is None else "of the output's range", "computed"),
    ]
    return tag("header", tag("p", "Gatefold report", class_="brand"), tag("h1", title),
               tag("p", where, class_="where"), _verdict(report),
               tag("div", *facts, class_="facts"))


def _verdict(report: dict) -> Markup:
    verified = report["verified"]
    if not verified:
        return tag("p", tag("strong", "Not yet verified."), " No simulator has run this core. ",
                   tag("code", "gatefold verify DIR"), " compares its Verilog with the "
                   "golden model, bit for bit and cycle for cycle.", class_="verdict waiting")
    stated = report["cycles"]["latency"]
    if any(done["latency"] != stated for done in verified):
        return tag("p", tag("strong", "The simulation contradicts the latency of the plan."),
                   " Build this core again.", class_="verdict bad")
    names = " and ".join(f"{str(done['simulator']).capitalize()} "
                         f"({plural(done['samples'], 'sample')})" for done in verified)
    return tag("p", tag("strong", "Verified."), f" Simulated with {names}: every output and "
               "every state equals that of the golden model, and the latency is always the stated "
               f"{stated:,} cycles.", class_="verdict good")


def _fact(figure: str, unit: str, name: str, note: str, *kinds: str) -> Markup:
    return tag("div", tag("div", figure, tag("span", unit, class_="unit") if unit else None,
                          class_="figure"),
               tag("div", name, class_="label"), tag("div", note, class_="note"),
               tag("div", [badge(kind) for kind in kinds], class_="kinds"), class_="fact")


def _footer() -> Markup:
    meanings = (
        ("simulated", "observed in a simulator that ran the core"),
        ("planned", "counted by the plan's model of time; every simulation must match it"),
        ("computed", "computed by the golden model; every simulation must equal it, bit for bit"),
        ("estimated", "calculated with formulas; no vendor tool ran"),
        ("counted", "counted in the driver's code; the time of each is assumed"),
        ("assumed", "set by the user or a default, not measured on a device"),
        ("routed", "found by Vivado in the placed and routed core"),
        ("quoted", "taken from the documents that are named beside it"))
    return tag("footer", tag("h2", "What the marks mean"),
               tag("dl", [flat(tag("dt", badge(kind)), tag("dd", text))
                          for kind, text in meanings], class_="legend"))
