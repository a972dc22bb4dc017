"""What the site adds to Sphinx: components with their ports, the commands' help, and references.

``conf.py`` of docs/ loads this module as an extension.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import partial
from html import escape
from importlib import import_module
from pathlib import Path
from urllib.parse import quote

from amaranth.hdl import Shape
from amaranth.hdl._ir import Fragment
from amaranth.lib import stream, wiring
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

import gatefold as gf
from gatefold.gen.cli import main
from gatefold.hdl.core import Top
from gatefold.hdl.host.top import HostTop

__all__ = ["setup"]

#: What `make gallery` makes: the folder that the site takes along.
GALLERY = Path(__file__).resolve().parents[2] / "build/extra"
#: Pages that list others, which Markdown elsewhere shows as a folder: what they list.
FOLDERS = {
    "docs/decisions/README": ["[0-9]*"],
    "models/README": ["*/README"],
    "bench/README": ["accuracy/README"],
}


def _example() -> dict[type, wiring.Component]:
    """A component of every class that the core of docs/reference/components.md contains, from the
    outside to the inside."""
    core = gf.compile(gf.initialise(units=8, features=4, timesteps=4, dense=1), pe=16, simd=4,
                      width=12, host="axi", io="float32", loadable=True, engines=2)
    assert core.host is not None
    found: dict[type, wiring.Component] = {}
    made = wiring.Component.__init__

    def remember(self, *given, **named):
        found.setdefault(type(self), self)
        made(self, *given, **named)

    wiring.Component.__init__ = remember
    try:
        for top in (Top(core.plan.config), HostTop(core.host)):
            Fragment.get(top, None).prepare()
    finally:
        wiring.Component.__init__ = made
    return {of: one for of, one in found.items() if of.__module__.startswith("gatefold.")}


def _latency(component: wiring.Component) -> str:
    """The latency that a component states, in words; empty if it states none."""
    stated = getattr(type(component), "latency", None)
    if stated is None:
        return ""
    if not callable(stated):
        return f"Latency: {stated} cycles, in every core."
    config = getattr(component, "config", None)
    try:
        return f"Latency: {stated(config)} cycles in the example; ``latency(config)`` states it."
    except (TypeError, AttributeError, KeyError):
        return "Latency: ``latency(config)`` states it."


def _ports(signature: wiring.Signature, prefix: str = "") -> list[tuple[str, str, str]]:
    """(name, direction, shape) of every port."""
    rows = []
    for name, member in signature.members.items():
        whole = f"{prefix}{name}"
        size = "".join(f"[{n}]" for n in member.dimensions)
        if member.is_port:
            rows.append((whole + size, member.flow.name, _shape(member.shape)))
        else:
            inner = member.signature
            if isinstance(inner, stream.Signature):
                rows.append((whole + size, member.flow.name,
                             f"stream of {_shape(inner.members['payload'].shape)}"))
            else:
                rows += _ports(inner, f"{whole}{size}.")
    return rows


def _shape(shape) -> str:
    width = Shape.cast(shape).width
    kind = type(shape).__name__
    bits = f"{width} bit" + "s" * (width != 1)
    fields = getattr(shape, "members", None)
    if kind == "StructLayout" and fields:
        return f"{bits}: {', '.join(fields)}"
    if kind == "ArrayLayout":
        return f"{shape.length} x {_shape(shape.elem_shape)}"
    return f"{bits}, signed" if getattr(shape, "signed", False) else bits


class Components(Directive):
    """Every component of the packages that the argument names, with its ports and its latency."""

    required_arguments = 1
    has_content = False

    def run(self):
        package = self.arguments[0]
        lines = ["```{eval-rst}"]
        for of, component in _EXAMPLE.items():
            if of.__module__.rpartition(".")[0] == package and not of.__name__.startswith("_"):
                lines += [f".. autoclass:: {of.__module__}.{of.__name__}", "   :members:",
                          "   :exclude-members: elaborate", ""]
                if _latency(component):
                    lines += [f"   {_latency(component)}", ""]
                rows = _ports(component.signature)
                if rows:
                    lines += ["   .. list-table::", "      :header-rows: 1", "",
                              "      * - port", "        - direction",
                              "        - shape in the example"]
                    for name, flow, shape in rows:
                        lines += [f"      * - ``{name}``", f"        - {flow}",
                                  f"        - {shape}"]
                    lines.append("")
        box = nodes.section()
        box.document = self.state.document
        self.state.nested_parse(StringList([*lines, "```"], "components"), 0, box)
        return box.children


class Help(Directive):
    """What ``gatefold COMMAND --help`` prints."""

    required_arguments = 1
    has_content = False

    def run(self):
        import click

        command = main.commands[self.arguments[0]]
        context = click.Context(command, info_name=f"gatefold {self.arguments[0]}",
                                max_content_width=80, terminal_width=80)
        return [nodes.literal_block(text=command.get_help(context), language="none")]


class Gallery(Directive):
    """Links to the report pages that `make gallery` made, with the network, the board and the
    latency that each states; the site takes them along."""

    has_content = False

    def run(self):
        pages = sorted((GALLERY / "gallery").glob("*.html"))
        text = "\n".join(f'<li><a href="../gallery/{quote(page.name)}">{escape(page.stem)}</a>: '
                         f"{_about(page.read_text(encoding='utf-8'))}</li>" for page in pages)
        if not pages:
            return [nodes.paragraph(text="This site was built without them: run `make gallery` "
                                         "(minutes), then `make docs` again.")]
        return [nodes.raw("", f"<ul>{text}</ul>", format="html")]


def _about(report: str) -> str:
    """What a report page says at its top: network and board, and the latency; HTML."""
    where = re.search(r'<p class="where">(.*?)</p>', report)
    latency = re.search(r'<div class="figure">(.*?)<span class="unit">(.*?)</span>', report)
    assert where and latency
    return f"{where[1]}, {latency[1]} {latency[2]}"


def _listed(_app, name: str, source: list[str]) -> None:
    """Append to a folder's page what is in the folder, and to a tutorial itself as a notebook."""
    folder, _, page = name.rpartition("/")
    if folder == "docs/tutorials" and page != "index":
        source[0] += f"\n\nThis page as a notebook: {{nb-download}}`{page}.ipynb`\n"
    if name in FOLDERS:
        source[0] += "\n".join(["\n\n```{toctree}", ":hidden:", ":glob:", "", *FOLDERS[name],
                                "```\n"])


def _joined(outputs: list, then: Callable[[list], list]) -> list:
    """What ``then`` makes of a cell's outputs with each stream in one piece: IPython sends what a
    command prints in pieces of 100 bytes, and myst-nb would begin a line with each."""
    joined, streams = [], {}
    for output in outputs:
        if output["output_type"] == "stream" and output["name"] in streams:
            streams[output["name"]]["text"] += output["text"]
        else:
            joined.append(output)
            streams[output.get("name")] = output
    return then(joined)


def _missing(_app, _env, node, content):
    """Text for a reference to something that exists but has no page of its own; else a warning."""
    if node.get("refdomain") != "py":
        return None
    module, of = node.get("py:module") or "", node.get("py:class") or ""
    target = node["reftarget"].lstrip("~.")
    homes = {"", f"{module}.{of}.", "builtins."}
    if any(hasattr(one, target) for kind, one in _EXAMPLE.items()
           if f"{kind.__module__}.{kind.__name__}" == f"{module}.{of}"):
        # a port, which a component only has once it is made
        return content
    for home in (module, *gf._HOME.values()):  # names of gatefold are documented away from home
        homes |= {f"{home}.", f"{home.rpartition('.')[0]}."}
    return content if any(_found(home + target) is not None for home in homes) else None


def _found(path: str):
    """What ``path`` names; None if nothing."""
    parts = path.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:n])) if all(parts) else None
        except ImportError:
            continue
        for part in parts[n:]:
            found = getattr(found, part, getattr(found, "__annotations__", {}).get(part))
        return found
    return None


def _as_rest(_app, _what, _name, _found, _options, lines) -> None:
    """Rewrite what reStructuredText would misread in docstrings, which are written for people:
    underlined titles, the star of ``(samples, *shape)``, bars, lists of options as ``name: text``.
    """
    out: list[str] = []
    titled = False  # below a title, where lines that continue an entry are indented
    for line, under in zip(lines, [*lines[1:], ""], strict=True):
        if set(under) == {"-"}:
            out.append(f".. rubric:: {line}")
            titled = True
        elif set(line) == {"-"}:
            out.append("")
        else:
            line = re.sub(r"(?<![\w*`\\])\*{1,2}(?=[a-z_]+[,) ])",
                          lambda found: "\\*" * len(found[0]), line)
            line = re.sub(r"\|(\w+)\|", r"\|\1\|", line)
            line = re.sub(r"^    (\w+): ", r"    :\1: ", line)
            out.append(line.strip() if titled else line)
    lines[:] = out


def _signature(_app, what, _name, found, _options, _signature, _returns):
    """A component's own parameters, which Amaranth's metaclass hides."""
    if what == "class" and issubclass(found, wiring.Component):
        own = inspect.signature(vars(found).get("__init__", found.__init__))
        return str(own.replace(parameters=list(own.parameters.values())[1:])), ""
    return None


def setup(app):
    """Enter all of it."""
    global _EXAMPLE
    _EXAMPLE = _example()
    renderer = vars(import_module("myst_nb.core.render"))
    renderer["coalesce_streams"] = partial(_joined, then=renderer["coalesce_streams"])
    app.add_directive("components", Components)
    app.add_directive("command-help", Help)
    app.add_directive("gallery", Gallery)
    app.connect("source-read", _listed)
    app.connect("missing-reference", _missing)
    app.connect("autodoc-process-docstring", _as_rest, priority=100)
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


_EXAMPLE: dict[type, wiring.Component] = {}
