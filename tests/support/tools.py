"""Modules of the folders of scripts, which import one another by their names."""

import importlib
import sys
from types import ModuleType

from tests.support.places import ROOT


def tool(folder: str, name: str) -> ModuleType:
    """Module ``name`` of ``folder``; other folders of scripts may have modules of its names too."""
    own = {path.stem for path in (ROOT / folder).glob("*.py")}
    others = {one: sys.modules.pop(one) for one in own & set(sys.modules)}
    sys.path.insert(0, str(ROOT / folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(ROOT / folder))
        for one in own & set(sys.modules):
            del sys.modules[one]
        sys.modules.update(others)
