"""Open dimensions of a model's inputs, and the sizes that the user gives for them.

A model may leave axes of its inputs open: the batch, which stays open, and others, mostly the
timesteps, which a core needs fixed. An open dimension has a name: the one in the file, or
``INPUT:AXIS`` (``x:1``) where the file has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.limits import MAX_DIM, check_dim

__all__ = ["AS_DECLARED", "LIKELY", "Dim", "OpenError", "Sizes", "SizesError", "shown_dims"]

#: Numbers of timesteps, or of audio samples, to try where a model leaves an axis open.
LIKELY = (32, 64, 128, 256, 512, 576, 1024, 1536, 4096, 16000)
#: A fixed size, or the name of an open dimension.
Dim = int | str


class OpenError(UserError):
    """A dimension that must be fixed is open, or an input that is a single number.

    ``timesteps``: whether it is the timesteps, which ``--timesteps`` fixes; else ``name``, by which
    ``--set`` fixes it; ``values`` that it may have, the likeliest first.
    """

    def __init__(self, text: str, timesteps: bool, name: str = "", values: Sequence[int] = ()):
        super().__init__(text)
        self.timesteps, self.name, self.values = timesteps, name, tuple(values)


class SizesError(UserError):
    """The sizes that the user gives contradict the model."""


@dataclass(frozen=True)
class Sizes:
    """What the user gives: ``timesteps`` (``--timesteps``), None where not given, and the sizes of
    dimensions by name (``--set NAME=VALUE``).

    Raises :class:`UserError` for sizes that are no integers in 1..MAX_DIM.
    """

    timesteps: int | None = None
    named: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self):
        if self.timesteps is not None:
            check_dim("--timesteps", "it", self.timesteps)
        for name, size in self.named.items():
            check_dim("--set", quoted(name), size)

    @classmethod
    def read(cls, timesteps: int | None, texts: Iterable[str]) -> Sizes:
        """The sizes of a command line: ``texts`` are like ``NAME=VALUE``."""
        named: dict[str, int] = {}
        for text in texts:
            name, _, value = text.rpartition("=")
            if not name or not (value.isascii() and value.isdigit() and len(value) < 9):
                raise UserError(f"--set must be NAME=VALUE, with an integer in 1..{MAX_DIM} as "
                                f"VALUE, not {quoted(text)}")
            if named.setdefault(name, int(value)) != int(value):
                raise UserError(f"--set gives {quoted(name)} two sizes, {named[name]} and "
                                f"{int(value)}: give one")
        return cls(timesteps, named)

    @property
    def given(self) -> bool:
        """Whether there is any."""
        return self.timesteps is not None or bool(self.named)

    def guessed(self, error: OpenError) -> Sizes | None:
        """These and the likeliest value of what is open; None where none is known."""
        if not error.values or error.name in self.named or (
                error.timesteps and self.timesteps is not None):
            return None
        if error.timesteps:
            return replace(self, timesteps=error.values[0])
        return replace(self, named={**self.named, error.name: error.values[0]})

    @property
    def words(self) -> list[str]:
        """The options of the command line that give them."""
        steps = [] if self.timesteps is None else ["--timesteps", str(self.timesteps)]
        return steps + [word for name, size in self.named.items()
                        for word in ("--set", f"{name}={size}")]

    def refuse(self, why: str) -> None:
        """Raise :class:`UserError` if there is any."""
        if self.given:
            raise UserError(f"{'--set' if self.timesteps is None else '--timesteps'} fixes an open "
                            f"dimension of the model, but {why}: leave it out")

    def substituted(self, inputs: Mapping[str, Sequence[Dim]]) -> dict[str, tuple[Dim, ...]]:
        """The inputs' dimensions, those that have a size by name replaced by it.

        Raises :class:`SizesError` for a name that no open dimension has.
        """
        names = list(dict.fromkeys(n for dims in inputs.values() for n in dims
                                   if isinstance(n, str)))
        for name in self.named:
            if name not in names:
                legal = ", ".join(quoted(one)[1:-1] for one in names[:12])
                raise SizesError(f"--set: {quoted(name)} is no open dimension of the model: "
                                 + (f"its open dimensions are {legal}" if names else
                                    "it has none, leave --set out"))
        return {name: tuple(self.named.get(n, n) if isinstance(n, str) else n for n in dims)
                for name, dims in inputs.items()}

    def fixed(self, where: str, dims: Sequence[Dim], batch: int | None,
              time: int | None = None) -> tuple[Dim, ...]:
        """``dims`` with every open dimension but that of the axis ``batch`` replaced by its size.

        ``time`` is the axis of the timesteps; where it is not known, it is the only open axis, or
        of several the last but one. ``where`` names the input in messages.
        Raises :class:`OpenError` for a dimension whose size is not given.
        """
        left = [axis for axis, n in enumerate(dims) if isinstance(n, str) and axis != batch]
        unsure = time is None and len(dims) > 2
        if time is None and left:
            time = len(dims) - 2 if len(left) > 1 and len(dims) - 2 in left else left[0]
        found = list(dims)
        for axis in left:
            steps = axis == time
            if steps and self.timesteps is not None:
                found[axis] = self.timesteps
                continue
            name, last = quoted(dims[axis]), axis == len(dims) - 1
            what = ("the number of timesteps" if steps and not (unsure and last) else
                    "the number of features" if last and not steps else f"the size of axis {name}")
            remedy = " or ".join([*["--timesteps T (timesteps=T in Python)"] * steps,
                                  *[f"--set {name[1:-1]}=N (sizes={{{name}: N}} in Python)"]
                                  * (not steps or unsure)])
            raise OpenError(f"{where}: {what} is not fixed (shape {shown_dims(dims)}): give it "
                            f"with {remedy}, or save the model with a fixed shape; only the batch "
                            "may be open", steps, str(dims[axis]),
                            () if last and not steps else LIKELY)
        return tuple(found)

    def check_timesteps(self, inputs: Sequence[Sequence[Dim]]) -> None:
        """Raise :class:`SizesError` where ``timesteps`` contradict what the file says.

        ``inputs``: the dimensions of each without its batch, before :meth:`fixed`.
        """
        steps = self.timesteps
        if steps is None or any(isinstance(n, str) for dims in inputs for n in dims) or any(
                len(dims) > 1 and dims[-2] == steps for dims in inputs):
            return
        shapes = " and ".join(map(shown_dims, inputs))
        raise SizesError(f"--timesteps is {steps}, but the file fixes the shape of its input to "
                         f"{shapes}, without the batch: leave it out")


#: No sizes are given.
AS_DECLARED = Sizes()


def shown_dims(dims: Sequence[Dim]) -> str:
    """Dimensions in a message: the names of open ones are shown."""
    inner = ", ".join(quoted(n, 24)[1:-1] if isinstance(n, str) else str(n) for n in dims)
    return f"({inner},)" if len(dims) == 1 else f"({inner})"
