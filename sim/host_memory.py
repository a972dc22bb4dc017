"""What memory holds beside a core with registers: frames, an image of weights, room for results."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from gatefold.hdl.host.axi import BURST
from gatefold.sim.host_info import HostInfo
from gatefold.sim.results import CheckFailed

__all__ = ["HostMemory"]

_GUARD = 0xA5  # bytes where nothing is written
_IMAGES = 64  # of weights, among which those are that are loaded
_DONE = 1 << 31  # of a completion word


class HostMemory:
    """Memory from address 0 on; its origin is the bench's business.

    First comes the image of the weights, then the ``frames`` at :attr:`frames`, then rooms, one for
    the results of each descriptor and for completion words.

    Members: ``outputs``, what golden makes of the frames; ``content``, bytes.
    """

    def __init__(self, info: HostInfo, frames: Sequence[bytes], outputs: list[bytes]):
        self.info, self.outputs = info, outputs
        self.size = info.port_bits // 8  # bytes of a word of the port
        self.content = bytearray()
        self._place(info.load)
        self.frames = self._place(b"".join(frames))
        self._results: list[tuple[str, int, list[bytes]]] = []
        self._words: list[tuple[int, bytes]] = []
        #: Where results do not count.
        self.anywhere = self._room(len(outputs) * info.out_bytes)

    def room(self, name: str, results: list[bytes]) -> int:
        """The address of room for ``results``, which must be there in the end; ``name``, of their
        descriptor."""
        address = self._room(sum(map(len, results)))
        self._results.append((name, address, results))
        return address

    def word(self, errors: int | None) -> int:
        """The address of room for a completion word, which must hold these bits of ERROR in the
        end; None: it must not be written."""
        if not self._words or self._words[-1][0] % self.size + 4 >= self.size:
            address = self._place(bytes([_GUARD]) * self.size, self.size)
        else:
            address = self._words[-1][0] + 4
        self._words.append((address, bytes([_GUARD]) * 4 if errors is None else
                            (_DONE | errors).to_bytes(4, "little")))
        return address

    def images(self) -> list[int]:
        """Where other images of weights begin: as many as it takes until each bit of the checksum
        has had both values, and four at least."""
        length = len(self.info.load)
        seen = _bits(zlib.crc32(self.info.load))
        places: list[int] = []
        for at in range(self.size, _IMAGES * self.size, self.size):
            new = _bits(zlib.crc32(self.content[at:at + length]))
            if len(places) < 4 or not new <= seen:
                places.append(at)
                seen |= new
        return places

    def check(self, result: bytes) -> None:
        """Raise :class:`CheckFailed` unless memory that holds ``result`` in the end is right."""
        for name, address, results in self._results:
            at = address
            for n, want in enumerate(results):
                got = result[at:at + len(want)]
                if got != want:
                    byte = next(k for k, pair in enumerate(zip(got, want, strict=True))
                                if pair[0] != pair[1])
                    raise CheckFailed(
                        f"registers and memory: {name}, frame {n}, byte {byte}: expected "
                        f"{want[byte]:#04x}, got {got[byte]:#04x}")
                at += len(want)
            if set(result[at:at + self._behind]) != {_GUARD}:
                raise CheckFailed(f"registers and memory: {name} wrote behind its results")
        for n, (address, want) in enumerate(self._words):
            got = result[address:address + 4]
            if got != want:
                raise CheckFailed(f"registers and memory: expected {want.hex()} in completion word "
                                  f"{n}, got {got.hex()}")

    @property
    def _behind(self) -> int:
        """Bytes behind results that must stay as they are."""
        return BURST * self.size

    def _room(self, length: int) -> int:
        return self._place(bytes([_GUARD]) * (length + self._behind))

    def _place(self, content: bytes, align: int = 0) -> int:
        """Put ``content`` behind what is there, where a burst of most words may begin; its address.
        """
        self.content += bytes([_GUARD]) * (-len(self.content) % (align or self._behind))
        address = len(self.content)
        self.content += content
        return address


def _bits(checksum: int) -> set[tuple[int, int]]:
    """Each bit and its value."""
    return {(bit, checksum >> bit & 1) for bit in range(32)}
