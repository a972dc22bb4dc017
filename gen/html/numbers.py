"""Number formats drawn on one ruler of bits, and the error of each output."""

from __future__ import annotations

import math

from .markup import Markup, flat, num, svg, tag, text_tag

__all__ = ["Format", "error_chart", "format_ruler", "formats_of"]

_WIDTH, _LEFT, _RIGHT = 1040, 170, 290
_FEW = 12  # outputs that get a row each
Format = tuple[int, int]  # bits before the point with the sign, and behind it


def formats_of(numbers: dict) -> list[tuple[str, str, Format]]:
    """(layer, tensor, format) of every tensor, in the order of computation. u is what enters the
    table; a layer's x is the tensor before it."""
    told = [("input", "x", _parse(numbers["input"]))]
    for name, tensors in numbers["layers"].items():
        forms = {tensor: form for tensor, form in tensors.items() if tensor[0] == "w"}
        if "u" in numbers["saturations"].get(name, {}):
            forms["u"] = numbers["table"]["argument"]
        forms |= {tensor: form for tensor, form in tensors.items() if tensor != "x"}
        told += [(name, tensor, _parse(form)) for tensor, form in forms.items()]
    return told


def _parse(text: str) -> Format:
    whole, _, fraction = text.removeprefix("Q").rpartition(".")
    return int(whole), int(fraction)


def format_ruler(numbers: dict) -> Markup:
    """Each format's bits as cells, aligned at the binary point; peaks and saturations beside it."""
    rows = formats_of(numbers)
    most = max(max(whole for _, _, (whole, _) in rows), 1)
    least = max(max(fraction for _, _, (_, fraction) in rows), 1)
    cell = min(17.0, (_WIDTH - _LEFT - _RIGHT) / (most + least))
    point = _LEFT + most * cell
    right = point + least * cell + 16
    parts = [text_tag(x, 12, head, class_="muted small") for x, head in (
        (right, "format"), (right + 74, "range"), (right + 142, "peak"),
        (right + 206, "saturated"))]
    x = 2.0
    for kind, label in (("sign", "sign"), ("whole", "integer"), ("fraction", "fraction")):
        parts += [tag("rect", x=num(x), y=2, width=11, height=11, rx=2, class_=kind),
                  text_tag(x + 16, 12, label, class_="muted small")]
        x += 30 + 6.5 * len(label)
    y, before = 22.0, None
    for layer, tensor, (whole, fraction) in rows:
        if before is not None and layer != before:
            y += 8
        if layer != before:
            parts.append(text_tag(2, y + 12, layer, class_="strong"))
        before = layer
        parts.append(text_tag(_LEFT - 12, y + 12, tensor, text_anchor="end", class_="mono"))
        for bit in range(whole + fraction):
            x = point + (bit - whole) * cell
            kind = "sign" if bit == 0 else "whole" if bit < whole else "fraction"
            parts.append(tag("rect", x=num(x + 0.75), y=num(y), width=num(cell - 1.5), height=16,
                             rx=2, class_=kind))
        peak = _peak(numbers, layer, tensor)
        parts += [
            text_tag(right, y + 12, f"Q{whole}.{fraction}", class_="strong mono"),
            text_tag(right + 74, y + 12, f"± {2.0 ** (whole - 1):.3g}"),
            text_tag(right + 142, y + 12, "" if peak is None else f"{peak:.3g}"),
            text_tag(right + 206, y + 12, _saturated(numbers, layer, tensor))]
        y += 22
    parts.append(tag("path", d=f"M{num(point)} 18V{num(y)}", class_="limit"))
    told = "; ".join(f"{layer} {tensor} Q{whole}.{fraction}"
                     for layer, tensor, (whole, fraction) in rows)
    return svg("formats", "Number formats", told + ".", _WIDTH, y + 4, *parts)


def _peak(numbers: dict, layer: str, tensor: str) -> float | None:
    peaks = numbers["calibration"].get("peaks", {})
    found = peaks.get("input") if layer == "input" else peaks.get(layer, {}).get(tensor)
    return found if isinstance(found, (int, float)) else None


def _saturated(numbers: dict, layer: str, tensor: str) -> str:
    counted = numbers["saturations"].get(layer, {}).get(tensor)
    return "" if counted is None else f"{counted['count']:,} of {counted['total']:,}"


def error_chart(numbers: dict) -> Markup:
    """Maximum and RMS error of each output on a logarithmic axis, beside the output's LSB."""
    outputs = numbers["error"]["outputs"]
    lsb = 2.0 ** -_parse(numbers["output"])[1]
    values = [value for output in outputs for value in (output["max_abs"], output["rms"]) if value]
    low = math.floor(math.log10(min([lsb, *values]) / 1.5))
    high = math.ceil(math.log10(max([lsb, *values]) * 1.5))
    if len(outputs) <= _FEW:
        return _few(outputs, lsb, low, max(high, low + 1))
    return _many(outputs, lsb, low, max(high, low + 1))


def _legend(x: float, y: float) -> list[Markup]:
    return [tag("circle", cx=num(x), cy=num(y - 4), r=4.5, class_="s0"),
            text_tag(x + 9, y, "RMS", class_="small"),
            tag("circle", cx=num(x + 56), cy=num(y - 4), r=4.5, class_="s1"),
            text_tag(x + 65, y, "largest", class_="small"),
            tag("path", d=f"M{num(x + 128)} {num(y - 10)}v12", class_="limit"),
            text_tag(x + 135, y, "one step of the output format", class_="small")]


def _told(outputs: list[dict]) -> str:
    return (f"{len(outputs)} outputs; largest error {max(o['max_abs'] for o in outputs):.3g}, "
            f"largest RMS {max(o['rms'] for o in outputs):.3g}.")


def _few(outputs: list[dict], lsb: float, low: int, high: int) -> Markup:
    """A row an output."""
    width = _WIDTH - _LEFT - 40

    def x(value: float) -> float:
        return _LEFT + width * (max(low, math.log10(value) if value else low) - low) / (high - low)

    parts, y = _legend(_LEFT, 14), 30.0
    bottom = y + 26 * len(outputs)
    for power in range(low, high + 1):
        at = x(10.0**power)
        parts += [tag("path", d=f"M{num(at)} {num(y - 4)}V{num(bottom)}", class_="grid"),
                  text_tag(at, bottom + 16, f"1e{power}", text_anchor="middle",
                           class_="muted small")]
    parts.append(tag("path", d=f"M{num(x(lsb))} {num(y - 4)}V{num(bottom)}", class_="limit"))
    for place, output in enumerate(outputs):
        middle = y + 13
        parts += [text_tag(_LEFT - 14, middle + 4, f"output {place}", text_anchor="end",
                           class_="strong"),
                  tag("path", d=f"M{num(x(output['rms']))} {num(middle)}"
                                f"H{num(x(output['max_abs']))}", class_="span"),
                  tag("circle", cx=num(x(output["rms"])), cy=num(middle), r=5.5, class_="s0"),
                  tag("circle", cx=num(x(output["max_abs"])), cy=num(middle), r=5.5,
                      class_="s1")]
        y += 26
    return svg("errors", "Error of each output against float", _told(outputs), _WIDTH,
               bottom + 24, *parts)


def _many(outputs: list[dict], lsb: float, low: int, high: int) -> Markup:
    """A column an output."""
    top, high_px = 30.0, 150.0
    width = _WIDTH - _LEFT - 40
    column = width / len(outputs)

    def y(value: float) -> float:
        share = (max(low, math.log10(value) if value else low) - low) / (high - low)
        return top + high_px * (1 - share)

    parts = _legend(_LEFT, 14)
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts += [tag("path", d=f"M{_LEFT} {num(at)}h{width}", class_="grid"),
                  text_tag(_LEFT - 10, at + 4, f"1e{power}", text_anchor="end",
                           class_="muted small")]
    parts.append(tag("path", d=f"M{_LEFT} {num(y(lsb))}h{width}", class_="limit"))
    for key, colour in (("max_abs", "s1"), ("rms", "s0")):
        wide = max(0.6, min(8.0, column * 0.7))
        path = "".join(
            f"M{num(_LEFT + column * (n + 0.5) - wide / 2)} {num(y(output[key]) - 2)}"
            f"h{num(wide)}v4h-{num(wide)}z" for n, output in enumerate(outputs))
        parts.append(tag("path", d=path, class_=colour))
    parts.append(flat(text_tag(_LEFT, top + high_px + 18, "output 0", class_="muted small"),
                      text_tag(_LEFT + width, top + high_px + 18, f"output {len(outputs) - 1}",
                               text_anchor="end", class_="muted small")))
    return svg("errors", "Error of each output against float", _told(outputs), _WIDTH,
               top + high_px + 24, *parts)
