"""The site: what `make docs` installs, its check of links, and the built site in a browser."""

from __future__ import annotations

import html
import json
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.html.test_page import browse, browser
from tests.support.places import ROOT
from tests.support.tools import tool
from tests.test_setup import LOCK, pins

SITE = ROOT / "build/site"
DOCS_LOCK = pins((ROOT / "docs/requirements.lock").read_text().splitlines())
built = pytest.mark.skipif(not (SITE / "index.html").exists(), reason="run `make docs` first")

#: A frame as narrow as a phone, which no window may be, writes to the title: its own width, and
#: that of the page in it, which is more where the page would have to be scrolled sideways.
FRAME = '<title></title><iframe width={} height=800 style="border:0" srcdoc="{}"></iframe>'
MEASURE = """<script>addEventListener("load", () => { parent.document.title =
    JSON.stringify([innerWidth, document.documentElement.scrollWidth]); });</script>"""


def test_the_lock_of_the_site_pins_its_extra_and_repeats_nothing():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for line in project["optional-dependencies"]["docs"]:
        needed = Requirement(line)
        assert needed.specifier.contains(DOCS_LOCK[canonicalize_name(needed.name)])
    assert not set(DOCS_LOCK) & set(LOCK)


def test_every_page_is_in_a_table_of_contents():
    index = (ROOT / "docs/index.md").read_text()
    listed = set(re.findall(r"^(?:.* <)?([\w/.-]+)>?$", index, re.MULTILINE))
    pages = {path.relative_to(ROOT / "docs").with_suffix("").as_posix()
             for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "decisions"}
    assert pages - {"index"} <= listed


@pytest.mark.parametrize("link, broken", [
    ("two.html", False), ("two.html#here", False), ("#top", False), ("far%20away.txt", False),
    ("https://example.org/none", False),
    ("three.html", True), ("two.html#there", True), ("#bottom", True), ("folder", True)])
def test_links_are_checked(tmp_path, link, broken):
    (tmp_path / "folder").mkdir()
    (tmp_path / "far away.txt").touch()
    (tmp_path / "two.html").write_text("<p id=here>")
    (tmp_path / "one.html").write_text(f"<a name=top href='{link}'>")
    assert tool("tools/site", "make").broken_links(tmp_path) == (
        [f"one.html: {link}"] if broken else [])


def test_the_gallery_shows_the_benchmark_and_three_real_models():
    workloads = json.loads((ROOT / "bench/workloads.json").read_text())
    names = [name for name, _ in tool("tools/site", "gallery").pages()]
    assert names == [*workloads["networks"], *workloads["streaming"]["networks"],
                     "silero-vad 5.1.2", "g2p-en 2.1.0", "ecg-quality 0.2.0"]


def measured(page: str, width: int, tmp_path) -> list[int]:
    """(width of the frame, width of the page) of a page of the site."""
    path, probe = SITE / page, tmp_path / "probe.html"
    text = path.read_text().replace("<head>", f'<head><base href="{path.as_uri()}">{MEASURE}', 1)
    probe.write_text(FRAME.format(width, html.escape(text)))
    seen = browse(probe, tmp_path / "profile")
    assert seen.console == []
    return json.loads(html.unescape(re.search(r"<title>(.*?)</title>", seen.dom)[1]))


@built
@browser
@pytest.mark.parametrize("page", ["docs/index.html", "docs/bench.html", "docs/engine.html",
                                  "docs/reference/components.html"])
@pytest.mark.parametrize("width", [1100, 390])
def test_pages_fit_a_desktop_and_a_phone(page, width, tmp_path):
    window, content = measured(page, width, tmp_path)
    assert window == width and content <= window


@built
@browser
def test_search_finds_a_page_without_a_network(tmp_path):
    seen = browse(SITE / "search.html", tmp_path / "profile", query="?q=parity")
    assert re.search(r'class="search"', seen.dom) and "streams.html" in seen.dom
