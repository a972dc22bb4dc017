"""``make gallery``: the report pages of the benchmark's networks and of three real models.

They go to build/extra/gallery/, from where `make docs` takes them into the site. Cores are planned
for the first board of each network, real models for the U280; nothing is simulated. A page that is
there stays: delete it to make it anew. Names as arguments limit the pages. ``--screenshot`` instead
takes the picture that README.md shows, of the core that ``make demo`` built and verified, in
Chromium.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import gatefold as gf
from gatefold.gen.html import render

ROOT = Path(__file__).resolve().parents[2]


def _script(path: str):
    """The module of a script, whatever other folders call theirs."""
    spec = spec_from_file_location(f"gallery_{Path(path).stem}", ROOT / path)
    assert spec and spec.loader
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


networks, wild = _script("bench/networks.py"), _script("tools/wild.py")

PLACE = ROOT / "build/extra/gallery"
PICTURE, SHOWN = ROOT / "docs/report.png", ROOT / "build/demo/report.html"
_REAL = {name: wild.CASES[name] for name in ("silero-vad 5.1.2", "g2p-en 2.1.0",
                                             "ecg-quality 0.2.0")}


def pages():
    """(name, a function that gives network, board and calibration data) of every page."""
    for work in networks.all_workloads():
        yield work.name, lambda work=work: (work.network, work.boards[0],
                                            networks.calibration(work.name))
    for name, fetch in _REAL.items():
        def real(fetch=fetch):
            path, options, x, _ = fetch()
            cut = "auto" if "--cut" in (gf.inspect(path, **options).options or ()) else None
            return gf.load(path, cut=cut, **options), "u280", x
        yield name, real


def screenshot() -> int:
    """Take the picture of the demo's report; the exit code."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None or not SHOWN.exists():
        print(f"gallery: the picture needs Chromium and {SHOWN.relative_to(ROOT)}: run `make demo` "
              "first", file=sys.stderr)
        return 1
    subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                    f"--user-data-dir={ROOT / 'build/browser'}", "--window-size=1000,700",
                    f"--screenshot={PICTURE}", SHOWN.as_uri()], check=True, capture_output=True)
    from PIL import Image

    with Image.open(PICTURE) as picture:  # 64 colours: a drawing needs no more
        picture.convert("RGB").quantize(64).save(PICTURE, optimize=True)
    print(f"gallery: {PICTURE.relative_to(ROOT)}, {PICTURE.stat().st_size // 1024} KiB")
    return 0


def main() -> int:
    """Make the pages; the exit code."""
    if "--screenshot" in sys.argv:
        return screenshot()
    PLACE.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    wanted = sys.argv[1:]
    for name, made in pages():
        path = PLACE / f"{name}.html"
        if path.exists() or (wanted and name not in wanted):
            continue
        network, board, data = made()
        core = gf.compile(network, board=board, calibrate=data)
        path.write_text(render(core.report(), core.plan), encoding="utf-8")
        print(f"gallery: {name} on {board}, {core.plan.cycles.latency:,} cycles", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
