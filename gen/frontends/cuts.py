"""Where a model is cut: the core is a part of it, and the host computes the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.network.around import Around
from gatefold.gen.network.graph import Network

__all__ = ["NO_RECURRENT", "Cut", "CutError", "NeverCutError", "Steps", "begins_nowhere",
           "core_ports", "numbers_of", "unknown", "with_around"]

NO_RECURRENT = ("--cut: the model has no recurrent layer, and a core is cut around those: leave "
                "--cut out")


class CutError(UserError):
    """The model cannot be cut so."""


class NeverCutError(UserError):
    """Models of this format are not cut."""


@dataclass(frozen=True)
class Cut:
    """``first`` and ``last``: names of the first and the last node or layer of the core (``--from``
    and ``--to``), None for the model's own end; without both, the frontend finds the cut. ``begin``
    and ``end``: the model is taken from this layer on and as far as this node or layer, and what
    lies before and behind is left out (``--cut auto --from``, ``--to``)."""

    first: str | None = None
    last: str | None = None
    begin: str | None = None
    end: str | None = None

    @property
    def named(self) -> bool:
        """Whether the user names an end."""
        return self.first is not None or self.last is not None

    @classmethod
    def given(cls, cut: Cut | str | tuple[str | None, ...] | None) -> Cut | None:
        """The cut of a caller in Python; raises :class:`UserError` for another value."""
        if isinstance(cut, Cut):
            return cut
        if cut is None or isinstance(cut, str):
            return cls.read(cut, None, None)
        if isinstance(cut, tuple | list) and len(cut) in (2, 3) and any(cut) and all(
                name is None or isinstance(name, str) for name in cut):
            if len(cut) == 2:
                return cls(*cut)
            if cut[0] == "auto":
                return cls(begin=cut[1], end=cut[2])
        raise UserError("cut must be 'auto', the names of the first and the last layer of the "
                        "core, or ('auto', FIRST, LAST), which takes the model from layer to layer "
                        f"(None: its own end), not {quoted(cut)}")

    @classmethod
    def read(cls, cut: str | None, first: str | None, last: str | None) -> Cut | None:
        """The cut of a command line, None where the model is taken whole.

        Raises :class:`UserError` for another word than ``auto``, and for it beside names.
        """
        if cut not in (None, "auto", "none"):
            raise UserError(f"--cut must be auto or none, not {quoted(cut)}: name the ends of the "
                            "core with --from and --to")
        if first is None and last is None:
            return cls() if cut == "auto" else None
        if cut == "auto":
            return cls(begin=first, end=last)
        if cut is not None:
            raise UserError(f"--cut {cut} and {'--to' if first is None else '--from'} contradict "
                            "each other: the names say where to cut, leave --cut out")
        return cls(first, last)

    @property
    def words(self) -> list[str]:
        """The options of the command line that make it."""
        if not self.named:
            return ["--cut", "auto", *_words(self.begin, self.end)]
        return _words(self.first, self.last)


def begins_nowhere(cut: Cut | None, remedy: str) -> None:
    """Raise :class:`CutError` where ``cut`` takes a model that is none of Keras from a layer on;
    ``remedy``, what to do instead."""
    if cut is not None and cut.begin is not None:
        raise CutError(f"--cut auto with --from is for Keras models: {remedy}")


def _words(first: str | None, last: str | None) -> list[str]:
    return [word for option, name in (("--from", first), ("--to", last))
            if name is not None for word in (option, name)]


def with_around(network: Network) -> Network:
    """``network`` with what is around it, which the reader of a model that is cut leaves in
    ``source["around"]``."""
    around = network.source.pop("around", None)
    return network if around is None else replace(network, around=around)


def core_ports(around: Around, inputs: Sequence[str], outputs: Sequence[str],
               read: Collection[str]) -> dict:
    """The entry :data:`PORTS` of a core: ``inputs`` and ``outputs``, the names that the model's own
    have for users; ``read``, the tensors that the host's part behind the core reads."""
    given = dict(zip((one.name for one in around.inputs), inputs, strict=True))
    made = dict(zip((one.name for one in around.outputs), outputs, strict=True))
    results = [one.name for one in around.outputs]
    return {"inputs": [given.get(one.name, "") for one in around.into],
            "outputs": [made.get(one.name, "") for one in around.out_of],
            "read": {n for n, one in enumerate(around.out_of)
                     if one.name in read or results.count(one.name) > 1}}


class Steps:
    """The steps of a model (nodes or layers), and what depends on what.

    Parameters: ``names``, of each in the file (several may share one); ``needs``, of each the
    numbers of the steps whose results it reads; ``recurrent``, numbers of the recurrent ones.
    Raises :class:`CutError` where there is none.
    """

    def __init__(self, names: Sequence[str], needs: Sequence[Sequence[int]],
                 recurrent: Iterable[int]):
        self.names, self.needs, self.recurrent = list(names), needs, set(recurrent)
        if not self.recurrent:
            raise CutError(NO_RECURRENT)
        self.users: list[list[int]] = [[] for _ in names]
        for n, needed in enumerate(needs):
            for one in needed:
                self.users[one].append(n)
        self.ahead, self.after = self.before(self.recurrent), self.behind(self.recurrent)

    def before(self, steps: Iterable[int]) -> set[int]:
        """These steps and all that they depend on."""
        return _reached(steps, self.needs)

    def behind(self, steps: Iterable[int]) -> set[int]:
        """These steps and all that depends on them."""
        return _reached(steps, self.users)

    def named(self, cut: Cut) -> set[int]:
        """The steps of the core between the two that ``cut`` names."""
        core = set(range(len(self.names)))
        for option, name, reached in (("--from", cut.first, self.behind),
                                      ("--to", cut.last, self.before)):
            if name is None:
                continue
            core &= reached(numbers_of(name, self.names, option))
        if not core:
            raise CutError(f"--from {quoted(cut.first)} and --to {quoted(cut.last)} cross, since "
                           "the second does not depend on the first: exchange them")
        outside = sorted(self.recurrent - core)
        if outside:
            raise CutError(f"--from and --to leave the recurrent layer "
                           f"{quoted(self.names[outside[0]])} to the host: cut around all of them "
                           f"({', '.join(quoted(self.names[n])[1:-1] for n in self.recurrent)})")
        return core

    def leave(self, steps: set[int], why: str = "") -> tuple[set[int], set[int]]:
        """What goes to the host before and behind the core with these ``steps``.

        Raises :class:`CutError` for one between two recurrent layers; ``why`` begins the message.
        """
        between = (steps & self.ahead & self.after) - self.recurrent
        if between:
            n = min(between)
            first = max(self.before([n]) & self.recurrent)
            last = min(self.behind([n]) & self.recurrent)
            raise CutError(f"{why or quoted(self.names[n])}; it lies between the recurrent layers "
                           f"{quoted(self.names[first])} and {quoted(self.names[last])}, so no cut "
                           "helps: split the model there and build a core of each part")
        front = self.before(steps & self.ahead - self.recurrent)
        return front, self.behind(steps - self.ahead)


def numbers_of(name: str, names: Sequence[str], option: str) -> list[int]:
    """The places of ``name`` among the ``names``; raises :class:`CutError` where it has none."""
    found = [n for n, one in enumerate(names) if one == name]
    if not found:
        raise unknown(name, names, option)
    return found


def unknown(name: str, names: Iterable[str], option: str) -> CutError:
    """That ``name`` is none of the ``names``."""
    shown = list(dict.fromkeys(filter(None, names)))
    return CutError(f"{option}: there is no layer or node {quoted(name)}: there are "
                    + ", ".join(quoted(one)[1:-1] for one in shown[:30])
                    + (", ..." if len(shown) > 30 else ""))


def _reached(steps: Iterable[int], edges: Sequence[Sequence[int]]) -> set[int]:
    found: set[int] = set()
    left = list(steps)
    while left:
        n = left.pop()
        if n not in found:
            found.add(n)
            left += edges[n]
    return found
