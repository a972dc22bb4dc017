"""``make docs``: build the site in build/site, run its tutorials, and check every link of it.

The packages of docs/requirements.lock go into .venv-docs, which also sees those of .venv: so the
environment of the tests stays as it is. Usage: ``python tools/site/make.py [--stale]``; with
``--stale`` tutorials that have not changed keep the results of the last run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["broken_links"]

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "docs/requirements.lock"
PLACE = ROOT / ".venv-docs"
SITE = ROOT / "build/site"
_HOME = """<!doctype html><meta charset="utf-8"><title>Gatefold</title>
<meta http-equiv="refresh" content="0; url=docs/index.html">
<a href="docs/index.html">Gatefold</a>
"""


class _Page(HTMLParser):
    """The places of a page that links may name, and its own links to files."""

    def __init__(self, text: str):
        super().__init__()
        self.places: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.places.add(value or "")
            elif name in ("href", "src") and value and not urlsplit(value).scheme:
                self.links.append(value)


def broken_links(site: Path) -> list[str]:
    """Every link within ``site`` that leads to no file, or to no place of its page."""
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file() or (parts.fragment and target in pages
                                        and unquote(parts.fragment) not in pages[target].places):
                broken.append(f"{path.relative_to(site)}: {link}")
    return broken


def _environment() -> None:
    """Make .venv-docs, or leave it where the lock has not changed."""
    stamp, key = PLACE / "lock", f"{ROOT}\n{LOCK.read_text()}"
    if stamp.is_file() and stamp.read_text() == key:
        return
    print("docs: installing the packages of docs/requirements.lock into .venv-docs", flush=True)
    venv.create(PLACE, with_pip=False, clear=True, symlinks=True)
    python = PLACE / "bin/python"
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", "-qq", "--no-deps",
                    "--disable-pip-version-check", "-r", LOCK], check=True)
    site = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                          capture_output=True, text=True, check=True).stdout.strip()
    own = sysconfig.get_path("purelib")
    (Path(site) / "tested.pth").write_text(f"import site; site.addsitedir({own!r})\n")
    stamp.write_text(key)


def main() -> int:
    """Build and check; the exit code."""
    _environment()
    stale = "--stale" in sys.argv
    path = os.pathsep.join([str(PLACE / "bin"), str(Path(sys.executable).parent),
                            os.environ["PATH"]])
    command = [PLACE / "bin/python", "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html",
               "-c", ROOT / "docs", *([] if stale else ["-E"]),
               *(["-D", "nb_execution_mode=cache"] if stale else []),
               "-D", f"nb_execution_cache_path={ROOT / 'build/site-cache'}",
               "-d", ROOT / "build/site-doctrees", ROOT, SITE]
    code = subprocess.run(command, env=os.environ | {"PATH": path}, check=False).returncode
    if code:
        return code
    (SITE / "index.html").write_text(_HOME)
    broken = broken_links(SITE)
    print("\n".join([*broken, f"docs: {len(broken)} broken links" if broken else
                     f"docs: {SITE.relative_to(ROOT)}/index.html"]))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
