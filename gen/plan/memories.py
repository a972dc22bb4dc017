"""What a memory takes of a device: block RAM, UltraRAM, LUT RAM, and ROM in logic."""

from __future__ import annotations

from math import ceil, exp

__all__ = ["bram18s", "ram_luts", "rom", "rom_luts", "urams"]


def bram18s(width: int, depth: int) -> int:
    """Half block RAMs (18 Kbit) of a memory that is read and written a word a cycle (UG573)."""
    shapes = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
    return min(ceil(width / bits) * ceil(depth / words) for words, bits in shapes)


def urams(width: int, depth: int) -> int:
    """UltraRAMs of a row's weights: a block of 4K x 72 holds 2K words of 144 bits, of which each of
    its two ports reads a half (UG573)."""
    return ceil(width / 144) * ceil(depth / 2048)


def rom_luts(width: int, depth: int) -> int:
    """LUTs of a ROM in logic, at most: a LUT6 holds 64 words of a bit; the multiplexers behind the
    LUTs are free up to 256 words (F7, F8)."""
    slices = ceil(depth / 64)
    return width * (slices + (ceil(slices / 4) if slices > 4 else 0))


def ram_luts(width: int, depth: int) -> int:
    """LUTs of a LUT RAM with one write and one read port: RAM32M16 holds 32 x 14 bits in 8 LUTs,
    RAM64M8 64 x 7."""
    return ceil(width / 14) * 8 if depth <= 32 else ceil(width / 7) * 8 * ceil(depth / 64)


def rom(width: int, depth: int) -> tuple[int, int]:
    """LUTs and registers of a ROM in logic that holds random bits: a column is what one bit of the
    word takes over all addresses, few words allow few different columns, and equal ones share. A
    single word is a constant."""
    if depth == 1:
        return 0, 0
    columns = 1 << depth if depth < 16 else 1 << 16
    different = columns * (1 - exp(-width / columns))
    plain = 2 * ((depth - 1).bit_length() + 1)  # columns that equal an address bit or a constant
    if depth > 16:
        plain = 0
    return round(rom_luts(1, depth) * max(0, different - plain)), round(different)
