"""What the search for widths tried, in the order in which it did."""

from __future__ import annotations

from gatefold.gen.html.markup import Child, Markup, badge, flat, plural, section, table, tag

__all__ = ["search_section"]


def search_section(report: dict) -> Markup | None:
    """Every attempt and every check of ``--width auto``; None where nobody searched."""
    search = report["numbers"].get("search")
    if not search:
        return None
    ended = "" if search["complete"] else " It ended with the last attempt that it may make."
    rows = [*_rows(search["attempts"], search["attempt_samples"]),
            *_rows(search["checks"], search["samples"], "check ")]
    return section(
        "search", "The search for the widths", flat(
            f"The fewest bits that keep an RMS error of {search['max_error']:.3%} of the outputs' "
            f"range: first for all layers, then layer by layer. Found were "
            f"{search['activations']} bits of activations and {search['weights']} of weights"
            f"{_also(search['overrides'])}, with an error of {search['error']:.3%} on "
            f"{plural(search['samples'], 'sample')}, all there are.{ended} ", badge("computed")),
        table(["attempt", "differing", "kept", "activations", "weights", "samples", "error"], rows,
              words=3), long=True)


def _rows(made: list[dict], samples: int, what: str = "") -> list[list[Child]]:
    return [[f"{what}{n}", tag("span", _listed(one["overrides"]), class_="wrap"),
             "yes" if one["keeps"] else "no", f"{one['activations']}", f"{one['weights']}",
             f"{samples:,}", "not to be had" if one["error"] is None else f"{one['error']:.3%}"]
            for n, one in enumerate(made, 1)]


def _listed(overrides: dict) -> str:
    return "; ".join(f"{name} " + ", ".join(f"{key} {value}" for key, value in keys.items())
                     for name, keys in overrides.items())


def _also(overrides: dict) -> str:
    return f" ({_listed(overrides)})" if overrides else ""
