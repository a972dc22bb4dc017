"""The attempts of the search for widths, in their order."""

from __future__ import annotations

from gatefold.gen.html.markup import Child, Markup, badge, flat, plural, section, table, tag

__all__ = ["search_section"]


def search_section(report: dict) -> Markup | None:
    """Every attempt and every check of ``--width auto``; None where there was no search."""
    search = report["numbers"].get("search")
    if not search:
        return None
    ended = "" if search["complete"] else " It stopped when it reached its limit of attempts."
    rows = [*_rows(search["attempts"], search["attempt_samples"]),
            *_rows(search["checks"], search["samples"], "check ")]
    return section(
        "search", "The search for the widths", flat(
            "The search looked for the fewest bits that keep the RMS error within "
            f"{search['max_error']:.3%} of the outputs' range, first for all layers, then layer by "
            f"layer. It found {search['activations']} bits for activations and "
            f"{search['weights']} bits for weights{_also(search['overrides'])}, with an error of "
            f"{search['error']:.3%} on all {plural(search['samples'], 'sample')}{_beyond(search)}."
            f"{ended} ",
            badge("computed")),
        table(["attempt", "changes", "in limit", "activations", "weights", "samples", "error"],
              rows, words=3), long=True)


def _beyond(search: dict) -> str:
    held_out = search["held_out"]
    if not held_out["samples"]:
        return ""
    return (f" and of {held_out['error']:.3%} on the {held_out['samples']:,} of them that chose "
            "neither formats nor widths")


def _rows(made: list[dict], samples: int, what: str = "") -> list[list[Child]]:
    return [[f"{what}{n}", tag("span", _listed(one["overrides"]), class_="wrap"),
             "yes" if one["keeps"] else "no", f"{one['activations']}", f"{one['weights']}",
             f"{samples:,}", "cannot be built" if one["error"] is None else f"{one['error']:.3%}"]
            for n, one in enumerate(made, 1)]


def _listed(overrides: dict) -> str:
    return "; ".join(f"{name} " + ", ".join(f"{key} {value}" for key, value in keys.items())
                     for name, keys in overrides.items())


def _also(overrides: dict) -> str:
    return f" ({_listed(overrides)})" if overrides else ""
