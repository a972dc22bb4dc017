"""The names of the files in a core's folder."""

__all__ = ["ANY_BOARD", "CONTENTS", "CORE", "FLOATS", "FUSESOC", "HOST", "INTEGERS"]

CORE = "core.json"  #: what test benches need to know
INTEGERS = "integers.npz"  #: the quantised network
FLOATS = "floats.npz"  #: the float network that it was made from
FUSESOC = "gatefold.core"  #: the core's description for FuseSoC
HOST = "host"  #: the folder of what the host computes of a model that was cut
ANY_BOARD = "zynqmp"  #: the folder of the package for a user's board
#: Everything that a build leaves in its folder.
CONTENTS = frozenset({CORE, INTEGERS, FLOATS, FUSESOC, HOST, "rtl", "weights", "cocotb", "vivado",
                      "driver", "zcu104", ANY_BOARD, "report.json", "report.html"})
