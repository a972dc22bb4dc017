"""The signatures of AXI4 and AXI4-Lite, from the master's side: a stream for each channel.

What Gatefold never varies is missing here and constant at the ports of the top module
(:mod:`.shell`): IDs, burst type INCR, the size of a whole word, cache, protection and QoS.
"""

from __future__ import annotations

from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out, Signature

__all__ = ["ADDRESS_BITS", "BURST", "WORDS", "axi4", "axi_lite", "burst", "read_word"]

ADDRESS_BITS = 64
#: Words of the longest burst. A burst never crosses a multiple of so many words, so that with words
#: of up to 2,048 bits it never crosses 4 KiB either; 16 is also what an AXI3 port takes.
BURST = 16
#: Bits of a number of words.
WORDS = 40


def axi_lite(address_bits: int) -> Signature:
    """AXI4-Lite with 32 bits of data."""
    return Signature({
        "aw": Out(stream.Signature(address_bits)),
        "w": Out(stream.Signature(data.StructLayout({"data": 32, "strb": 4}))),
        "b": In(stream.Signature(2)),
        "ar": Out(stream.Signature(address_bits)),
        "r": In(stream.Signature(data.StructLayout({"data": 32, "resp": 2})))})


def burst() -> data.StructLayout:
    """A burst: byte address of its first word, words less one."""
    return data.StructLayout({"addr": ADDRESS_BITS, "len": 8})


def axi4(width: int) -> Signature:
    """AXI4 with ``width`` bits of data."""
    return Signature({
        "aw": Out(stream.Signature(burst())),
        "w": Out(stream.Signature(data.StructLayout({"data": width, "strb": width // 8,
                                                     "last": 1}))),
        "b": In(stream.Signature(2)),
        "ar": Out(stream.Signature(burst())),
        "r": In(stream.Signature(data.StructLayout({"data": width, "resp": 2, "last": 1})))})


def read_word(width: int) -> data.StructLayout:
    """A word that was read; ``error``: it is not what is in memory."""
    return data.StructLayout({"data": width, "error": 1})
