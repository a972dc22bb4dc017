"""HTML and SVG as escaped text: everything but the results of :func:`tag` is data and escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence
from math import floor

__all__ = ["Child", "Markup", "badge", "flat", "fitted", "num", "percent", "plural", "section",
           "shape", "svg", "table", "tag", "text_tag"]

#: Elements without a closing tag.
_VOID = frozenset({"br", "hr", "link", "meta"})

Child = object


class Markup(str):
    """Text that is HTML already: made by :func:`tag` or :func:`flat`, or a literal."""

    __slots__ = ()


def num(value: float, digits: int = 2) -> str:
    """A coordinate: short, the same on every machine."""
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def escaped(text: str) -> str:
    """``text`` for a place between tags or in a quoted attribute; control characters shown as ?."""
    safe = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
    return html.escape(safe, quote=True)


def flat(*children: Child) -> Markup:
    """Children side by side: Markup as it is, None nothing, sequences flattened, others escaped."""
    parts = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, (list, tuple)):
            parts.append(flat(*child))
        elif isinstance(child, float):
            parts.append(num(child))
        else:
            parts.append(escaped(str(child)))
    return Markup("".join(parts))


def tag(name: str, /, *children: Child, **attributes: object) -> Markup:
    """An element. ``class_`` becomes class, ``data_x`` data-x; None leaves an attribute out."""
    written = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        text = num(value) if isinstance(value, float) else str(value)
        written.append(f" {key}" if value is True else f' {key}="{escaped(text)}"')
    opening = f"<{name}{''.join(written)}>"
    return Markup(opening if name in _VOID else f"{opening}{flat(*children)}</{name}>")


def svg(name: str, title: str, description: str, width: float, height: float,
        *children: Child, **attributes: object) -> Markup:
    """A drawing; screen readers read ``description``. ``name``: its id, unique in the page."""
    return tag("div", tag(
        "svg", tag("title", title, id=f"{name}-title"), tag("desc", description, id=f"{name}-desc"),
        *children, id=name, role="img", viewBox=f"0 0 {num(width)} {num(height)}",
        aria_labelledby=f"{name}-title", aria_describedby=f"{name}-desc", **attributes),
        class_="drawing")


def text_tag(x: float, y: float, *children: Child, **attributes: object) -> Markup:
    """SVG text with its baseline at (x, y)."""
    return tag("text", *children, x=num(x), y=num(y), **attributes)


def fitted(text: str, width: float, per_letter: float = 7.4) -> str:
    """``text``, cut where it would be wider than ``width``."""
    most = max(2, int(width / per_letter))
    return text if len(text) <= most else text[:most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def section(name: str, title: str, lead: Child, *children: Child, long: bool = False) -> Markup:
    """A section of the page. ``name``: its id; ``long``: it may take several sheets of paper."""
    return tag("section", tag("h2", title), tag("p", lead, class_="lead"), *children, id=name,
               class_="long" if long else None)


def table(heads: Sequence[str], rows: Sequence[Sequence[Child]], words: int = 1) -> Markup:
    """``words``: the first so many columns are text, the others numbers, aligned right."""
    def cells(kind: str, row: Sequence[Child]) -> list[Markup]:
        return [tag(kind, cell, class_=None if n < words else "number")
                for n, cell in enumerate(row)]

    return tag("div", tag(
        "table", tag("thead", tag("tr", cells("th", heads))) if any(heads) else None,
        tag("tbody", [tag("tr", cells("td", row)) for row in rows])), class_="scroll")


def badge(kind: str) -> Markup:
    """How a figure is known: simulated, planned, computed, estimated, counted, assumed,
    routed, quoted."""
    return tag("span", kind, class_=f"badge {kind}")


def plural(count: int, word: str) -> str:
    """``1 layer``, ``2 layers``."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def percent(share: float) -> str:
    """``12.3 %``; 0 and 100 only where they are exact."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{floor(1000 * share) / 10 if 0.9995 <= share < 1 else 100 * share:.1f} %"


def shape(sizes: list[int]) -> str:
    """``30 × 1``."""
    return " × ".join(f"{size:,}" for size in sizes)
