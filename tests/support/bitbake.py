"""Parse a layer with BitBake's own parser: ``python bitbake.py LAYER STUBS``.

The wheel bitbake-setup holds BitBake's library without its servers, of which parsing needs only
the names. Classes of other layers are empty files in STUBS. Prints JSON: some variables of each
recipe.
"""

import json
import sys
import types
from pathlib import Path

for server in ("hashserv", "hashserv.client", "prserv"):
    sys.modules.setdefault(server, types.ModuleType(server))

import bb  # type: ignore[import-not-found]  # noqa: E402
import bb.data  # type: ignore[import-not-found]  # noqa: E402
import bb.parse  # type: ignore[import-not-found]  # noqa: E402

CLASSES = ("base", "cmake", "module", "dfx_user_dts")
#: A recipe of the vendor's, which this layer appends to.
KERNEL = "linux-xlnx_6.12.bb"


def parse(layer: Path, stubs: Path) -> dict[str, dict[str, str]]:
    (stubs / "classes").mkdir()
    for name in CLASSES:
        (stubs / "classes" / f"{name}.bbclass").touch()
    (stubs / KERNEL).write_text('SRC_URI = "file://theirs.cfg"\n')
    config = bb.data.init()
    config.setVar("BBPATH", str(stubs))
    config.setVar("TOPDIR", str(stubs))
    config.setVar("THISDIR", "${@os.path.dirname(d.getVar('FILE'))}")  # as in bitbake.conf
    bb.parse.init_parser(config)
    config.setVar("LAYERDIR", str(layer))
    config = bb.parse.handle(str(layer / "conf/layer.conf"), config, True)
    config.expandVarref("LAYERDIR")
    config.delVar("LAYERDIR")
    found = {}
    for recipe in (*sorted(layer.rglob("*.bb")), stubs / KERNEL):
        data = config.createCopy()
        name, version, _ = bb.parse.vars_from_file(str(recipe), data)
        appends = [path for path in layer.rglob("*.bbappend") if path.name.startswith(f"{name}_")]
        for variable, value in {"FILE": recipe, "PN": name, "PV": version, "__bbclasstype":
                                "recipe", "__BBAPPEND": " ".join(map(str, appends))}.items():
            data.setVar(variable, str(value))
        (data,) = bb.parse.handle(str(recipe), data).values()
        found[name] = {variable: data.getVar(variable) or "" for variable in
                       ("SRC_URI", "FILESEXTRAPATHS", f"RDEPENDS:{name}")}
    return found


if __name__ == "__main__":
    print(json.dumps(parse(Path(sys.argv[1]), Path(sys.argv[2]))))
