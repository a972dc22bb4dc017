"""What is in a model file, all that keeps it from being built, and what would let it in.

``inspection`` reads the file once, by the frontends themselves; ``estimate`` says whether the
network fits a board and about how fast it would be, without a plan; ``words`` puts both into lines.
"""

from __future__ import annotations

from gatefold.gen.inspect.inspection import Inspection, inspect

__all__ = ["Inspection", "inspect"]
