"""The names of the files in a core's folder."""

__all__ = ["CONTENTS", "CORE", "FLOATS", "INTEGERS"]

CORE = "core.json"  #: what test benches need to know
INTEGERS = "integers.npz"  #: the quantised network
FLOATS = "floats.npz"  #: the float network that it was made from
#: Everything that a build leaves in its folder.
CONTENTS = frozenset({CORE, INTEGERS, FLOATS, "rtl", "weights", "cocotb", "vivado", "report.json",
                      "report.html"})
