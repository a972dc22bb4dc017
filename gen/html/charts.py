"""Bars for a few numbers each: waterfall, yardsticks and resources."""

from __future__ import annotations

from gatefold.gen.html.markup import Markup, num, svg, tag, text_tag

__all__ = ["resource_bars", "waterfall", "yardsticks"]

_WIDTH, _LEFT = 1040, 150
_ROW = 30


def waterfall(name: str, title: str, stages: dict[str, int], notes: dict[str, str], scale: int,
              end: str) -> Markup:
    """Stages one after the other, a cell for each cycle. ``scale``: cycles of the whole width, so
    that several waterfalls can be compared; ``end``: what happens after the last cycle."""
    total = sum(stages.values())
    left = max(_LEFT, 20 + round(7.4 * max(map(len, stages))))
    cell = min(22.0, (710 - left) / scale)
    parts, y, at = [], 4.0, 0
    for place, (stage, cycles) in enumerate(stages.items()):
        x = left + at * cell
        if place:
            parts.append(tag("path", d=f"M{num(x)} {num(y - 10)}V{num(y)}", class_="drop"))
        parts.append(text_tag(left - 14, y + 14, stage, text_anchor="end", class_="strong"))
        bars, wide = (cycles, cell) if cell > 3 else (min(cycles, 1), cycles * cell)
        parts += [tag("rect", x=num(x + n * wide + 0.75), y=num(y), width=num(max(0.5, wide - 1.5)),
                      height=20, rx=2, class_="s5 odd" if place % 2 else "s5")
                  for n in range(bars)]
        parts.append(text_tag(x + cycles * cell + 8, y + 14, str(cycles), class_="strong"))
        parts.append(text_tag(x + cycles * cell + 16 + 9 * len(str(cycles)), y + 14,
                              notes.get(stage, ""), class_="muted"))
        at, y = at + cycles, y + _ROW
    x, y = left + at * cell, y + 10
    parts.append(tag("path", d=f"M{left} {num(y)}H{num(x)}M{left} {num(y - 4)}v8"
                               f"M{num(x)} {num(y - 4)}v8", class_="rule"))
    parts.append(text_tag(left - 14, y + 4, "sum", text_anchor="end", class_="strong"))
    parts.append(text_tag(x + 8, y + 4, f"{total} cycles", class_="strong"))
    parts.append(text_tag(x + 24 + 7 * len(f"{total} cycles"), y + 4, end, class_="muted"))
    described = ", ".join(f"{stage} {cycles}" for stage, cycles in stages.items())
    return svg(name, title, f"{described}: {total} cycles, {end}.", _WIDTH, y + 14, *parts)


def yardsticks(cycles: dict, latency: int) -> Markup:
    """The latency and its two yardsticks on one scale."""
    work, chain = cycles["A"], cycles["B"]
    top = max(latency, work + chain)
    scale = (_WIDTH - _LEFT - 170) / top
    rows = [
        ("A", [(work, "s5")], f"{work:,}", "multiplications"),
        ("B", [(chain, "s4")], f"{chain:,}", "chain of tails"),
        ("bound", [(max(work, chain), "s5" if work >= chain else "s4")],
         f"{cycles['bound']:,}", "max(A, B)"),
        ("latency", [(latency, "hero")], f"{latency:,}", "this core"),
        ("no_overlap", [(work, "s5"), (chain, "s4")], f"{cycles['no_overlap']:,}", "A + B"),
    ]
    parts, y = [], 4.0
    bound_x = _LEFT + cycles["bound"] * scale
    for name, bars, figure, note in rows:
        x = float(_LEFT)
        parts.append(text_tag(_LEFT - 14, y + 14, name, text_anchor="end", class_="strong"))
        for value, colour in bars:
            width = value * scale
            parts.append(tag("rect", x=num(x), y=num(y), width=num(max(0.5, width - 1.5)),
                             height=20, rx=2, class_=colour))
            x += width
        parts.append(text_tag(x + 8, y + 14, figure, class_="strong"))
        parts.append(text_tag(x + 18 + 8 * len(figure), y + 14, note, class_="muted"))
        y += _ROW
    parts.append(tag("path", d=f"M{num(bound_x)} 0V{num(y - 6)}", class_="limit"))
    return svg("yardsticks", "Latency and its yardsticks",
               f"Latency {latency} cycles; bound {cycles['bound']}, the larger of A {work} and "
               f"B {chain}; no_overlap {cycles['no_overlap']}, their sum.", _WIDTH, y, *parts)


def resource_bars(used: dict[str, float], there: dict[str, float]) -> Markup:
    """Shares of the device, 0 to 100 %; resources that it does not have are left out."""
    parts, y, described = [], 4.0, []
    width = _WIDTH - _LEFT - 270
    shown = [(key, label) for key, label in (
        ("lut", "LUT"), ("ff", "flip-flops"), ("dsp", "DSP"), ("bram36", "block RAM 36K"),
        ("uram", "UltraRAM")) if there.get(key)]
    for key, label in shown:
        share = used[key] / there[key]
        level = "over" if share > 1 else "high" if share > 0.9 else "s0"
        parts += [
            text_tag(_LEFT - 14, y + 14, label, text_anchor="end", class_="strong"),
            tag("rect", x=_LEFT, y=num(y), width=width, height=20, rx=2, class_="track"),
            tag("rect", x=_LEFT, y=num(y), width=num(width * min(1.0, share)), height=20, rx=2,
                class_=level),
            text_tag(_LEFT + width + 10, y + 14, f"{100 * share:.1f} %", class_="strong"),
            text_tag(_LEFT + width + 76, y + 14, f"{used[key]:,.10g} of {there[key]:,}",
                     class_="muted")]
        described.append(f"{label} {used[key]:g} of {there[key]:g}")
        y += _ROW
    parts += [tag("path", d=f"M{num(_LEFT + width * n / 4)} 0V{num(y - 6)}", class_="grid")
              for n in (1, 2, 3)]
    return svg("resources", "Resources against the device", "; ".join(described) + ".", _WIDTH,
               y, *parts)
