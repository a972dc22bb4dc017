"""A drawing of the network: a box for each layer, small ones for views, and lines for values."""

from __future__ import annotations

from dataclasses import dataclass

from gatefold.gen.errors import quoted
from gatefold.gen.html.graph import Box, lay_out
from gatefold.gen.html.markup import (
    Markup,
    flat,
    num,
    percent,
    plural,
    shape,
    svg,
    table,
    tag,
    text_tag,
)
from gatefold.gen.html.words import layer_note, layer_title

__all__ = ["layer_table", "network_drawing"]

_WIDTH = 1040
_SMALL, _HIGH = 40.0, 76.0  # heights


@dataclass(frozen=True)
class _Node:
    """A box: up to two lines of text; for a layer that computes also its colour and share of the
    multiplications."""

    title: str
    note: str
    role: str  # terminal, view, layer, host
    reads: tuple[int, ...]
    hint: str = ""
    name: str = ""
    colour: int = 0
    share: float = 0.0
    loop: bool = False

    @property
    def box(self) -> Box:
        """Its size, by the length of its words."""
        big = self.role == "layer"
        title = (8.9 if big else 7.2) * len(self.title) + (24 if self.loop else 0)
        words = max(title, 6.8 * len(self.name), 6.6 * len(self.note) + (54 if big else 0))
        least, margin = (132.0, 36.0) if big else (64.0, 24.0)
        return Box(max(least, words + margin), _HIGH if big else _SMALL, self.reads)


def network_drawing(network: dict, colours: dict[str, int]) -> Markup:
    """``colours``: of the layers that compute, by name."""
    nodes = _nodes(network, colours)
    layout = lay_out([node.box for node in nodes], _WIDTH - 8)
    if layout is None:
        return tag("p", "The network has too many layers to be drawn; the table lists them.",
                   class_="source")
    described = "; ".join(
        f"{layer['name']}, {layer_title(layer)}, from {' and '.join(layer['inputs'])} to "
        f"{shape(layer['output_shape'])}, {plural(layer['parameters'], 'parameter')}"
        for layer in network["layers"])
    parts: list[Markup] = [tag("defs", [tag(
        "marker", tag("path", d="M0 0L8 4L0 8z", class_="head"), id=name, viewBox="0 0 8 8",
        refX=at, refY=4, markerWidth=size, markerHeight=size, orient="auto")
        for name, at, size in (("head", 7.5, 6.5), ("loop", 4, 5))])]
    parts += [tag("path", d=path, class_="arrow",
                  marker_end=None if node is None else "url(#head)")
              for _, node, path in layout.lines]
    for node, (x, y) in zip(nodes, layout.places, strict=True):
        parts += _drawn(node, x, y)
    left = max(0.0, (_WIDTH - layout.width) / 2)
    return svg("network", "The network", described + ".", max(_WIDTH, layout.width + 8),
               layout.height + 8, tag("g", *parts, transform=f"translate({num(left)} 4)"))


def _nodes(network: dict, colours: dict[str, int]) -> list[_Node]:
    nodes, numbers = [], {}
    several = len(network["input_shapes"]) > 1
    for n, sizes in enumerate(network["input_shapes"]):
        numbers[f"input {n}"] = len(nodes)
        nodes.append(_Node(f"input {n}" if several else "input", shape(sizes), "terminal", ()))
    total = max(1, sum(layer["macs"] for layer in network["layers"]))
    ends = {output["value"] for output in network["outputs"] if output["left_to_the_host"]}
    for layer in network["layers"]:
        reads = tuple(numbers[value] for value in layer["inputs"])
        name, sizes = layer["name"], layer["output_shape"]
        if name in ends and layer["kind"] == "reshape" and layer["input_shapes"] == [sizes]:
            numbers[name] = reads[0]  # it only marks the host's function: no box
            continue
        numbers[name] = len(nodes)
        hint = ", ".join(filter(None, (name, layer_note(layer), _origin(layer))))
        if name in colours:
            nodes.append(_Node(
                layer_title(layer), shape(sizes), "layer", reads, hint, name, colours[name],
                layer["macs"] / total, layer["kind"] in ("lstm", "gru", "rnn")))
        else:
            nodes.append(_Node(layer_title(layer), shape(sizes), "view", reads, hint))
    several = len(network["outputs"]) > 1
    for n, output in enumerate(network["outputs"]):
        nodes.append(_Node(f"output {n}" if several else "output", shape(output["shape"]),
                           "terminal", (numbers[output["value"]],)))
        if output["left_to_the_host"]:
            nodes.append(_Node(output["left_to_the_host"].capitalize(), "left to the host", "host",
                               (len(nodes) - 1,)))
    return nodes


def _origin(layer: dict) -> str:
    return f"called {quoted(layer['origin'], 200)} in the model" if layer["origin"] else ""


def _drawn(node: _Node, x: float, y: float) -> list[Markup]:
    """A layer is coloured as in the schedule."""
    size = node.box
    wide, high = size.width, size.height
    parts = [tag("rect", x=num(x), y=num(y), width=num(wide), height=num(high),
                 rx=8 if node.role in ("layer", "host") else num(high / 2) if
                 node.role == "terminal" else 6, class_=f"box {node.role}")]
    if node.role != "layer":
        middle = x + wide / 2
        parts += [text_tag(middle, y + 17, node.title, text_anchor="middle", class_="strong"),
                  text_tag(middle, y + 31, node.note, text_anchor="middle", class_="muted small")]
    else:
        left = x + 16
        colour, bar = f"s{node.colour % 6}", wide - 32
        parts += [
            tag("rect", x=num(x), y=num(y + 12), width=4, height=num(high - 24), class_=colour),
            text_tag(left, y + 22, node.title, class_="name"),
            text_tag(left, y + 38, node.name, class_="muted mono"),
            text_tag(left, y + 56, node.note, class_="small"),
            text_tag(x + wide - 14, y + 56, percent(node.share) if node.share else "",
                     text_anchor="end", class_="muted small"),
            tag("rect", x=num(left), y=num(y + 63), width=num(bar), height=4, rx=2, class_="track"),
            tag("rect", x=num(left), y=num(y + 63), width=num(bar * node.share), height=4, rx=2,
                class_=colour)]
    if node.loop:
        cx, cy = x + wide - 20, y + 18
        parts.append(tag("path", d=f"M{num(cx - 5)} {num(cy + 5)}a7 7 0 1 1 10 0", class_="arrow",
                         marker_end="url(#loop)"))
    return [tag("g", tag("title", node.hint), *parts)] if node.hint else parts


def layer_table(network: dict, colours: dict[str, int]) -> Markup:
    """The details for which the boxes have no room."""
    rows = []
    for layer in network["layers"]:
        name = layer["name"]
        dot = tag("span", "", class_=f"dot d{colours[name] % 6}" if name in colours else "dot")
        rows.append([
            tag("span", dot, tag("code", name), class_="id"),
            flat(layer_title(layer), tag("div", note, class_="also") if (note := layer_note(layer))
                 else None),
            tag("span", ", ".join(layer["inputs"]), class_="also"),
            tag("span", quoted(layer["origin"], 60) if layer["origin"] else "", class_="wrap"),
            shape(layer["output_shape"]),
            *(f"{layer[key]:,}" if name in colours else "" for key in ("parameters", "macs"))])
    return table(["layer", "", "reads", "in the model", "makes", "parameters", "MACs"], rows,
                 words=4)
