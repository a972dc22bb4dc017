"""HDF5 as Keras writes it, from memory: the weights inside a ``.keras`` file, or an ``.h5`` file.

The HDF5 library is not used: it follows links to other files, allocates as much as a damaged length
says, and a file can make it loop for ever or run out of stack. Here every offset is checked against
the size of the file, nothing is visited twice, and arrays are slices of the file. Forms that Keras
does not write (links, external, compressed or chunked data, newer groups) are refused.

Source: HDF5 File Format Specification Version 3.0: superblock 0 and 1 (II.A), version 1 B-trees,
symbol table nodes, local and global heaps (III.A.1, III.B to III.E), version 1 object headers and
their messages (IV.A), link messages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.frontends.limits import check_elements

__all__ = ["MAX_TEXT", "File"]

#: Most bytes of a model's configuration.
MAX_TEXT = 8 << 20
#: Most groups within groups, members of all groups, messages of one object.
_MAX_DEPTH, _MAX_MEMBERS, _MAX_MESSAGES = 16, 1 << 14, 1 << 12
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: Little-endian IEEE floats by their datatype messages behind the first byte (class and version).
_FLOATS = {bytes.fromhex(message): np.dtype(kind) for message, kind in (
    ("200f00 02000000 0000 1000 0a 05 00 0a 0f000000", "<f2"),
    ("201f00 04000000 0000 2000 17 08 00 17 7f000000", "<f4"),
    ("203f00 08000000 0000 4000 34 0b 00 34 ff030000", "<f8"))}
_TYPE_BYTES = 19  #: of such a message
# Types of messages.
_SPACE, _TYPE, _LINK_INFO, _LINK, _EXTERNAL, _LAYOUT, _FILTERS, _ATTRIBUTE, _MORE, _TABLE = (
    1, 3, 2, 6, 7, 8, 11, 12, 16, 17)


class _Entry(NamedTuple):
    """A member of a group: where its object header is, and whether it is a symbolic link."""

    header: int
    link: bool


class File:
    """An HDF5 file.

    Parameters: ``data``, its bytes; ``name``, the model file; ``what``, this one in messages.
    Raises :class:`UserError` if it is not HDF5, or of a form that Keras does not write.
    """

    def __init__(self, data: bytes, name: str, what: str):
        self._data, self._what = data, what
        try:
            if data[:8] != _SIGNATURE:
                raise ValueError("it does not begin as HDF5 does")
            version = self._number(8, 1)
            if version > 1 or (self._number(13, 1), self._number(14, 1)) != (8, 8):
                raise ValueError("a form that Keras does not write")
            shift = 4 * version
            if self._number(24 + shift, 8):
                raise ValueError("its addresses do not begin at 0")
            self._root = self._number(64 + shift, 8)
            self._messages(self._root)
        except ValueError as error:
            raise UserError(f"{name}: its {what} is damaged ({quoted(error)}): "
                            "save the model again") from None

    def text(self, attribute: str) -> str | None:
        """A string among the file's attributes, or None."""
        try:
            for kind, at, size in self._messages(self._root):
                if kind == _ATTRIBUTE and (found := self._attribute(at, size, attribute)):
                    return found.decode()
            return None
        except ValueError as error:
            raise self._damaged(f"the attribute {attribute}", error) from None

    def variables(self, group: str, where: str,
                  shapes: tuple[tuple[int, ...], ...]) -> list[np.ndarray]:
        """The arrays ``0, 1, ...`` in ``group/vars``: exactly as many as ``shapes``, of these.

        ``where`` names the layer in messages.
        """
        try:
            holder = self._descend(f"{group}/vars")
            if holder is None:
                raise UserError(f"{where} has no weights in {self._what} "
                                f"({quoted(group)[1:-1]}/vars): save the whole model with "
                                "model.save()")
            wanted = [str(n) for n in range(len(shapes))]
            if sorted(holder) != wanted:
                raise UserError(f"{where} must have {len(wanted)} weight arrays, not "
                                f"{len(holder)}: the file's weights contradict its description")
            return [self._array(holder, key, f"weight array {key}", where, shape)
                    for key, shape in zip(wanted, shapes, strict=True)]
        except ValueError as error:
            raise self._damaged(f"{where}: its weights", error) from None

    def names(self, group: str) -> list[tuple[str, ...]]:
        """The names of all arrays in a group (empty: the whole file), each a path of parts."""
        try:
            top = self._descend(group)
            if top is None:
                raise UserError(f"there is no {group} in the {self._what}: save the whole model "
                                'with model.save("model.keras")')
            return list(self._walk(top, (), [0]))
        except ValueError as error:
            raise self._damaged(group, error) from None

    def array(self, group: str, parts: tuple[str, ...], where: str,
              shape: tuple[int, ...]) -> np.ndarray:
        """The array of this name in ``group``, which must have this shape."""
        try:
            holder = self._descend("/".join((group, *parts[:-1])))
            return self._array(holder or {}, parts[-1], f"weights {quoted(parts[-1])}", where,
                               shape)
        except ValueError as error:
            raise self._damaged(f"{where}: its weights", error) from None

    def _damaged(self, what: str, error: Exception) -> UserError:
        return UserError(f"{what} in {self._what} are damaged ({quoted(error)}): save the model "
                         "again")

    # ---- groups ---------------------------------------------------------------------------------

    def _walk(self, group: dict[str, _Entry], parts: tuple[str, ...],
              count: list[int]) -> Iterator[tuple[str, ...]]:
        for key in group:
            count[0] += 1
            if len(parts) >= _MAX_DEPTH or count[0] > _MAX_MEMBERS:
                raise UserError(f"the {self._what} has more groups, or more of them nested, than "
                                "any model: save the model again")
            members = self._members(self._followed(group, key))
            if members is None:
                yield (*parts, key)
            else:
                yield from self._walk(members, (*parts, key), count)

    def _descend(self, path: str) -> dict[str, _Entry] | None:
        members = self._members(self._root)
        for part in filter(None, path.split("/")):
            if members is None:
                raise UserError(f"{quoted(path)} in {self._what} must be a group: save the model "
                                "again")
            if part not in members:
                return None
            members = self._members(self._followed(members, part))
        return members

    def _followed(self, group: dict[str, _Entry], key: str) -> int:
        if group[key].link:
            raise UserError(f"{quoted(key)} in {self._what} is a link to another "
                            "place or file, which is not followed: save the model again")
        return group[key].header

    def _members(self, header: int) -> dict[str, _Entry] | None:
        """The members of a group by name; None for another object."""
        messages = self._messages(header)
        if any(kind in (_LINK_INFO, _LINK) for kind, _, _ in messages):
            return self._linked(messages)
        for kind, at, _ in messages:
            if kind == _TABLE:
                tree, heap = self._number(at, 8), self._number(at + 8, 8)
                if self._bytes(heap, 4) != b"HEAP":
                    raise ValueError("a group without a heap of names")
                names = self._number(heap + 24, 8), self._number(heap + 8, 8)
                members: dict[str, _Entry] = {}
                self._tree(tree, names, members, set())
                return members
        return None

    def _linked(self, messages: list[tuple[int, int, int]]) -> dict[str, _Entry]:
        """The members of a group that holds its links itself: HDF5 writes one so where a name is
        not of ASCII characters (IV.A.2.c, IV.A.2.g)."""
        members: dict[str, _Entry] = {}
        for kind, at, size in messages:
            if kind == _LINK_INFO:
                heap = at + 2 + 8 * (self._number(at + 1, 1) & 1)
                if self._number(heap, 8) != (1 << 64) - 1:
                    raise UserError(f"a group in {self._what} is of a newer form, which is not "
                                    "read: save the model again with Keras")
            elif kind == _LINK:
                flags, place = self._number(at + 1, 1), at + 2
                hard = True
                if flags & 8:
                    hard, place = self._number(place, 1) == 0, place + 1
                place += 8 * bool(flags & 4) + bool(flags & 16)
                long = 1 << (flags & 3)
                length = self._number(place, long)
                place += long
                if place + length + 8 * hard > at + size:
                    raise ValueError("a link beyond its place")
                name = self._bytes(place, length).decode(errors="replace")
                members[name] = _Entry(self._number(place + length, 8) if hard else 0, not hard)
        return members

    def _tree(self, at: int, names: tuple[int, int], members: dict[str, _Entry],
              seen: set[int]) -> None:
        if at in seen or len(seen) > _MAX_MEMBERS:
            raise ValueError("a tree that goes round in a circle")
        seen.add(at)
        if self._bytes(at, 5) != b"TREE\0" or self._number(at + 5, 1) > 8:
            raise ValueError("a group without a tree")
        level = self._number(at + 5, 1)
        for n in range(self._number(at + 6, 2)):
            child = self._number(at + 32 + 16 * n, 8)
            if level:
                if self._number(child + 5, 1) != level - 1:
                    raise ValueError("a tree with branches of another level")
                self._tree(child, names, members, seen)
                continue
            if self._bytes(child, 4) != b"SNOD":
                raise ValueError("a tree without leaves")
            for entry in range(self._number(child + 6, 2)):
                place = child + 8 + 40 * entry
                name = self._name(*names, self._number(place, 8))
                members[name] = _Entry(self._number(place + 8, 8),
                                       self._number(place + 16, 4) == 2)
                if len(members) > _MAX_MEMBERS // 4:
                    raise ValueError("a group with more members than any model")

    def _name(self, start: int, size: int, offset: int) -> str:
        held = self._bytes(start, size)
        end = held.find(b"\0", offset)
        if offset >= size or not 0 <= end - offset <= 4096:
            raise ValueError("a name that does not end")
        return held[offset:end].decode(errors="replace")

    # ---- objects --------------------------------------------------------------------------------

    def _array(self, group: dict[str, _Entry], key: str, what: str, where: str,
               shape: tuple[int, ...]) -> np.ndarray:
        """An array of the file, a view of its bytes."""
        held: dict[int, int] = {}
        if key in group:
            for kind, at, _ in self._messages(self._followed(group, key)):
                held.setdefault(kind, at)
        if _SPACE not in held or _TYPE not in held or _LAYOUT not in held:
            raise UserError(f"{where}: {what} is no array: save the model again")
        dtype = _FLOATS.get(self._bytes(held[_TYPE] + 1, _TYPE_BYTES))
        if self._number(held[_TYPE], 1) & 15 != 1 or dtype is None:
            raise UserError(f"{where}: {what}: weights must be floats of 16, 32 or 64 bits in this "
                            "machine's byte order: train or save the model in float32")
        found = self._shape(held[_SPACE])
        if found != shape:
            raise UserError(f"{where}: {what} must have the shape "
                            f"{shape}, not {found}: the weights contradict the layer's "
                            "description")
        size = dtype.itemsize * check_elements(where, found)
        layout = held[_LAYOUT]
        plain = self._bytes(layout, 2) == b"\x03\x01" and not {_EXTERNAL, _FILTERS} & set(held)
        if not plain or self._number(layout + 10, 8) != size or (
                self._number(layout + 2, 8) + size > len(self._data)):
            raise UserError(f"{where}: {what} is not stored plainly "
                            "(compressed, elsewhere, or missing): save the model again with Keras")
        held_there = np.frombuffer(self._data, dtype, size // dtype.itemsize,
                                   self._number(layout + 2, 8)).reshape(shape)
        return held_there.astype(np.float32, copy=False)

    def _shape(self, at: int) -> tuple[int, ...]:
        version, rank = self._number(at, 1), self._number(at + 1, 1)
        if version not in (1, 2) or rank > 32:
            raise ValueError("an array's shape of a form that Keras does not write")
        first = at + (8 if version == 1 else 4)
        return tuple(self._number(first + 8 * n, 8) for n in range(rank))

    def _attribute(self, at: int, size: int, name: str) -> bytes | None:
        """The value of an attribute, a string of its own length, if it has this name."""
        version = self._number(at, 1)
        sizes = [self._number(at + place, 2) for place in (2, 4, 6)]
        first = at + (9 if version == 3 else 8)
        if self._bytes(first, sizes[0]).rstrip(b"\0") != name.encode():
            return None
        kind = first + (-(-sizes[0] // 8) * 8 if version == 1 else sizes[0])
        value = kind + sum(-(-n // 8) * 8 if version == 1 else n for n in sizes[1:])
        # Class 9, of variable length, of type 1: a string. One value, not an array.
        if version not in (1, 3) or self._number(kind, 1) & 15 != 9 or (
                self._number(kind + 1, 1) & 15 != 1) or value + 16 > at + size:
            raise ValueError("an attribute that is no text")
        return self._heaped(self._number(value + 4, 8), self._number(value + 12, 4),
                            self._number(value, 4))

    def _heaped(self, at: int, wanted: int, length: int) -> bytes:
        """The object ``wanted`` of the global heap collection at ``at``."""
        end = at + self._number(at + 8, 8)
        if self._bytes(at, 5) != b"GCOL\1" or end > len(self._data) or length > MAX_TEXT:
            raise ValueError("a text in no heap, or too long")
        at += 16
        while at + 16 <= end and (index := self._number(at, 2)):
            size = self._number(at + 8, 8)
            if index == wanted:
                if length > size:
                    raise ValueError("a text that is longer than its place")
                return self._bytes(at + 16, length)
            at += 16 + -(-size // 8) * 8
        raise ValueError("a text that is not in its heap")

    def _messages(self, header: int) -> list[tuple[int, int, int]]:
        """Messages of an object header: (type, where its data are, how many)."""
        if self._number(header, 1) != 1:
            raise ValueError("an object of a form that Keras does not write")
        blocks, found, seen = [(header + 16, self._number(header + 8, 4))], [], set()
        while blocks:
            at, size = blocks.pop(0)
            if at in seen:
                raise ValueError("an object that goes on in itself")
            seen.add(at)
            end = at + size
            self._bytes(at, size)
            while at + 8 <= end:
                kind, length = self._number(at, 2), self._number(at + 2, 2)
                if at + 8 + length > end or len(found) > _MAX_MESSAGES:
                    raise ValueError("an object that goes beyond its place")
                if self._number(at + 4, 1) & 2 and kind != _ATTRIBUTE:
                    kind = 0  # shared: Keras writes none, and its contents are elsewhere
                if kind == _MORE:
                    blocks.append((self._number(at + 8, 8), self._number(at + 16, 8)))
                found.append((kind, at + 8, length))
                at += 8 + length
        return found

    # ---- bytes ----------------------------------------------------------------------------------

    def _bytes(self, at: int, size: int) -> bytes:
        if at < 0 or size < 0 or at + size > len(self._data):
            raise ValueError("something that lies beyond the end of the file")
        return self._data[at:at + size]

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self._bytes(at, size), "little")
