"""The network drawn: a box a layer, arrows with the shapes between them."""

from __future__ import annotations

from ..errors import quoted
from .markup import Markup, num, percent, plural, shape, svg, tag, text_tag

__all__ = ["layer_title", "network_drawing"]

_BOX, _HIGH, _ARROW, _PER_ROW, _ROW = 176, 132, 67, 4, 176


def layer_title(layer: dict) -> str:
    """``LSTM 128``, ``Dense 1 tanh``, ``repeat × 6``."""
    kind = layer["kind"]
    if kind == "lstm":
        return f"LSTM {layer['units']}"
    if kind == "dense":
        shaped = layer["activation"] if layer["activation"] != "linear" else ""
        return f"Dense {layer['outputs']} {shaped}".rstrip()
    if kind == "repeat_vector":
        return f"Repeat × {layer['output_shape'][0]}"
    return kind.replace("_", " ").capitalize()


def network_drawing(network: dict) -> Markup:
    """Left to right, :data:`_PER_ROW` layers a row; each box tells its share of multiplications."""
    layers = network["layers"]
    rows = -(-len(layers) // _PER_ROW)
    parts: list[Markup] = [tag("defs", [tag(
        "marker", tag("path", d="M0 0L8 4L0 8z", class_="head"), id=name, viewBox="0 0 8 8",
        refX=at, refY=4, markerWidth=size, markerHeight=size, orient="auto")
        for name, at, size in (("head", 7, 7), ("loop", 4, 5))])]
    total = max(1, sum(layer["macs"] for layer in layers))
    computing = 0
    for place, layer in enumerate(layers):
        row, column = divmod(place, _PER_ROW)
        x, y = column * (_BOX + _ARROW) + _ARROW, 8 + row * _ROW
        parts += _arrow(x - _ARROW, y, shape(layer["input_shape"]))
        colour = None
        if layer["macs"]:
            colour, computing = computing % 6, computing + 1
        parts += _box(x, y, layer, colour, layer["macs"] / total)
    row, column = divmod(len(layers) - 1, _PER_ROW)
    parts += _arrow((column + 1) * (_BOX + _ARROW), 8 + row * _ROW,
                    shape(network["output_shape"]))
    told = "; ".join(f"{layer_title(layer)}, {shape(layer['input_shape'])} to "
                     f"{shape(layer['output_shape'])}, {layer['parameters']} parameters"
                     for layer in layers)
    columns = min(_PER_ROW, len(layers))
    return svg("network", "The network", told + ".",
               max(1040, columns * (_BOX + _ARROW) + _ARROW + 4), rows * _ROW - 24, *parts)


def _arrow(x: float, y: float, label: str) -> list[Markup]:
    middle = y + _HIGH / 2
    if len(label) > 9:
        label = label.replace(",", "").replace(" ", "")
    return [tag("path", d=f"M{num(x + 5)} {num(middle)}h{_ARROW - 11}", class_="arrow",
                marker_end="url(#head)"),
            text_tag(x + _ARROW / 2, middle - 9, label, text_anchor="middle", class_="muted small")]


def _box(x: float, y: float, layer: dict, colour: int | None, share: float) -> list[Markup]:
    """A layer: coloured as in the timeline if it computes."""
    parts = [tag("rect", x=num(x), y=num(y), width=_BOX, height=_HIGH, rx=8,
                 class_="box" if colour is not None else "box view")]
    if colour is not None:
        parts.append(tag("rect", x=num(x), y=num(y + 14), width=4, height=_HIGH - 28,
                         class_=f"s{colour}"))
    left, line = x + 18, y + 30
    parts.append(text_tag(left, line, layer_title(layer), class_="name"))
    parts.append(text_tag(left, line + 18, layer["name"], class_="muted small mono"))
    if layer["kind"] == "lstm":
        cx, cy = x + _BOX - 24, y + 24
        parts.append(tag("path", d=f"M{num(cx - 5)} {num(cy + 5)}a7 7 0 1 1 10 0", class_="arrow",
                         marker_end="url(#loop)"))
    if layer["macs"]:
        facts = [plural(layer["parameters"], "parameter"), f"{layer['macs']:,} MACs"]
    else:
        facts = ["another view of its input,", "nothing is computed"]
    parts += [text_tag(left, line + 40 + 16 * n, fact, class_="small")
              for n, fact in enumerate(facts)]
    if layer["origin"]:
        parts.append(tag("g", tag("title", quoted(layer["origin"], 200)), text_tag(
            left, line + 74, quoted(layer["origin"], 20), class_="muted small")))
    if layer["macs"]:
        bar = _BOX - 82
        parts += [tag("rect", x=num(left), y=num(y + _HIGH - 18), width=num(width), height=4, rx=2,
                      class_=kind) for width, kind in ((bar, "lane"), (bar * share, f"s{colour}"))]
        parts.append(text_tag(x + _BOX - 12, y + _HIGH - 12, percent(share), text_anchor="end",
                              class_="small"))
    return parts
