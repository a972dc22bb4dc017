"""FlatBuffers, read with every offset checked: bytes in, nested dicts out.

A buffer is a graph of *tables* that refer to each other by offsets. It is read as a tree whose
depth is that of :data:`~.schema.SCHEMA`, and every reference must lead forwards, so that no cycle
can be followed. Vectors stay where they are, as views of the file's bytes: nothing is allocated
that the file does not hold.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.tflite.schema import DEFAULTS, OPTIONS, SCHEMA, Type

__all__ = ["read_model"]

#: Most tables and vectors of a file: far above any network that can be built.
_MOST = 200_000
#: Bytes that are kept of a text.
_LONGEST_TEXT = 1000
_UNION_SLOT = 4  # of an operator's options, behind their type


def read_model(data: bytes) -> dict:
    """The model in the bytes of a ``.tflite`` file, as nested dicts of the schema's fields.

    Raises :class:`UserError` where a table, a vector or a text lies outside the file or overlaps
    another, and where there are too many.
    """
    reader = _Reader(data)
    model = reader.table("Model", reader.forward(0))
    reader.check_overlaps()
    return model


class _Reader:
    """The bytes, and the extents of all that was read: (first byte, byte behind the last)."""

    def __init__(self, data: bytes):
        self.data, self.taken = data, 0
        self.extents: set[tuple[int, int]] = set()

    def number(self, at: int, code: str) -> int | float:
        """The little-endian number at ``at``."""
        kind = struct.Struct("<" + {"i1": "b", "u1": "B", "u2": "H", "i4": "i", "u4": "I",
                                    "i8": "q", "u8": "Q", "f4": "f"}[code])
        self.inside(at, kind.size)
        return kind.unpack_from(self.data, at)[0]

    def integer(self, at: int, code: str) -> int:
        """As :meth:`number`, of an integer type."""
        value = self.number(at, code)
        assert isinstance(value, int)
        return value

    def inside(self, at: int, size: int) -> None:
        """Raise :class:`UserError` unless ``size`` bytes at ``at`` are in the file."""
        if at < 0 or at + size > len(self.data):
            raise _damaged(f"it refers to bytes {at}..{at + size}, the file has {len(self.data)}")

    def take(self, at: int, size: int) -> None:
        """Note that ``size`` bytes at ``at`` belong to one table or vector."""
        self.inside(at, size)
        self.extents.add((at, at + size))
        self.taken += 1  # also where it is shared: each is read again
        if self.taken > _MOST:
            raise _damaged(f"it has more than {_MOST} tables and vectors")

    def check_overlaps(self) -> None:
        """Raise :class:`UserError` where tables and vectors overlap; they may be shared."""
        ordered = sorted(extent for extent in self.extents if extent[0] < extent[1])
        for (_, end), (start, _) in zip(ordered, ordered[1:], strict=False):
            if start < end:
                raise _damaged(f"tables or vectors overlap at byte {start}")

    def forward(self, at: int) -> int:
        """The place that the offset at ``at`` refers to: always behind it."""
        offset = self.integer(at, "u4")
        if offset < 4:
            raise _damaged(f"the offset at byte {at} does not lead forwards")
        self.inside(at + offset, 4)
        return at + offset

    def table(self, name: str, at: int) -> dict:
        """The table at ``at``."""
        places = self.places(name, at)
        found: dict[str, Any] = {
            field: self.field(f"{name}.{field}", of, places.get(slot))
            for field, (slot, of) in SCHEMA[name].items()}
        if name == "Operator":
            options = OPTIONS.get(found["options_type"])
            place = places.get(_UNION_SLOT)
            found["options"] = None if options is None or place is None else self.table(
                options, self.forward(place))
        return found

    def places(self, name: str, at: int) -> dict[int, int]:
        """Where the fields of the table ``name`` at ``at`` are, by slot."""
        entries = at - self.integer(at, "i4")
        size, held = self.integer(entries, "u2"), self.integer(entries + 2, "u2")
        if size < 4 or size % 2 or held < 4:
            raise _damaged(f"the table at byte {at} has a damaged list of fields")
        self.inside(entries, size)
        self.inside(at, held)
        offsets = np.frombuffer(self.data, "<u2", (size - 4) // 2, entries + 4).tolist()
        if any(offset >= held for offset in offsets):
            raise _damaged(f"the table at byte {at} has a field outside of it")
        # Up to its last field: converters count bytes of padding in what a table holds, and put
        # the next table there. A field that is not read has a byte at least.
        sizes = {slot: _size(of) for slot, of in SCHEMA[name].values()}
        self.take(at, max([4, *(offset + sizes.get(slot, 1)
                                for slot, offset in enumerate(offsets) if offset)]))
        return {slot: at + offset for slot, offset in enumerate(offsets) if offset}

    def field(self, name: str, of: Type, at: int | None):
        """A field at ``at``, or its default."""
        if isinstance(of, list):
            if at is None:
                return []
            inner, place = str(of[0]), self.forward(at)
            return self.tables(inner, place) if inner in SCHEMA else self.numbers(inner, place)
        if at is None:
            return DEFAULTS.get(name, 0 if isinstance(of, str) and of not in SCHEMA else
                                "" if of is str else None)
        if of is str:
            text = self.numbers("u1", self.forward(at))[:_LONGEST_TEXT]
            return text.tobytes().decode("utf-8", "replace")
        assert isinstance(of, str)
        return self.table(of, self.forward(at)) if of in SCHEMA else self.number(at, of)

    def numbers(self, of: str, at: int) -> np.ndarray:
        """A vector of numbers."""
        count, kind = self.integer(at, "u4"), np.dtype(f"<{of}")
        self.take(at, 4 + count * kind.itemsize)
        return np.frombuffer(self.data, kind, count, at + 4)

    def tables(self, of: str, at: int) -> list[dict]:
        """A vector of tables."""
        count = self.integer(at, "u4")
        self.take(at, 4 + 4 * count)
        return [self.table(of, self.forward(at + 4 + 4 * n)) for n in range(count)]


def _size(of: Type) -> int:
    """The bytes of a field within its table: of a number, or of an offset."""
    return int(of[1:]) if isinstance(of, str) and of not in SCHEMA else 4


def _damaged(what: str) -> UserError:
    return UserError(f"{what}: the file is damaged, convert the model again")
