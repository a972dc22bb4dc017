"""All that is refused in a model, not only what is refused first.

A frontend refuses a layer by raising :class:`UserError`, and :func:`gatefold.load` passes the first
one on. :func:`gatefold.gen.frontends.examine` gives the network's builder a :class:`Refusals`
instead. Where a layer is refused, the frontend then records the error, puts a :class:`StandIn` in
its place if the shape of its result is certain, and goes on; the parser is the same. Layers that
read a result of unknown shape are not examined, which is recorded too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gatefold.gen.errors import UserError
from gatefold.gen.network.layer import Layer, Shape

__all__ = ["MOST", "Refusal", "Refusals", "StandIn"]


#: Most refusals of a model that are kept.
MOST = 100


@dataclass(frozen=True)
class Refusal:
    """A refusal: the name of the layer or node in the file (empty: of the model as a whole), its
    class or operator, ``what`` is wrong, and the ``advice`` to leave it to the host, if any."""

    origin: str
    kind: str
    what: str
    advice: str = ""

    @property
    def text(self) -> str:
        """The whole message."""
        return self.what + self.advice

    def as_dict(self) -> dict:
        """For JSON."""
        return {"origin": self.origin, "kind": self.kind, "text": self.text}


@dataclass
class Refusals:
    """What was refused so far.

    Attributes: ``found``, each once, at most :data:`MOST`; ``more``, how many there were beyond
    these; ``behind``, names of the layers that were not examined, since they read a result of
    unknown shape, at most as many; ``recurrent``, those of them that are recurrent.
    """

    found: list[Refusal] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    recurrent: list[str] = field(default_factory=list)
    more: int = 0

    def add(self, origin: str, kind: str, error: UserError | str) -> None:
        """Record a refusal."""
        one = (Refusal(origin, kind, error.what, error.advice) if isinstance(error, UserError)
               else Refusal(origin, kind, error))
        if len(self.found) >= MOST:
            self.more += 1
        elif one not in self.found:
            self.found.append(one)

    def pass_over(self, origin: str, recurrent: bool = False) -> None:
        """Record a layer that cannot be examined."""
        if len(self.behind) < MOST and origin not in self.behind:
            self.behind.append(origin)
        if recurrent and len(self.recurrent) < MOST:
            self.recurrent.append(origin)


@dataclass(frozen=True, kw_only=True)
class StandIn(Layer):
    """A layer that was refused, in a network that will not be built: its value has ``shape``."""

    shape: Shape

    kind = "refused"
    computes = False

    def output_shape(self, *shapes: Shape) -> Shape:
        """See :class:`Layer`."""
        return self.shape
