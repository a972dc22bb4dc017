"""A UIO device and a DMA buffer made of plain files, and a thread that plays the core."""

import mmap
import socket
import struct
import threading
import time
from pathlib import Path

import numpy as np

from gatefold.hdl.host.registers import MAP

ADDRESS = 0x8_8000_0000
SIZE = 1 << 16


class UioStandIn:
    """Under ``root``: what /sys and /dev hold for a core called ``name``. The core gives input
    element k modulo their number as output element k. A context manager.

    ``interrupts``: DEVICE.irq is a socket that stands for the device's interrupt
    (tests/host/fake_uio.c), and a descriptor takes 20 ms. A word that comes enables the
    interrupt once, as UIO has it; ``enabled`` counts them. ``lost``, never one is raised.
    """

    def __init__(self, root: Path, name: str, about: dict[str, int], container: int, *,
                 interrupts: bool = False, lost: bool = False):
        self.about, self.container, self.lost = about, container, lost
        self.enabled, self._armed = 0, False
        self._listens: socket.socket | None = None
        self._irq: socket.socket | None = None
        uio, buffer = root / "sys/class/uio/uio3", root / f"sys/class/u-dma-buf/{name}-buffer"
        for folder in (uio / "maps/map0", buffer, root / "dev"):
            folder.mkdir(parents=True)
        (uio / "name").write_text(f"{name}\n")
        (uio / "maps/map0/size").write_text(f"{1 << MAP.address_bits:#x}\n")
        (buffer / "phys_addr").write_text(f"{ADDRESS:#x}\n")
        (buffer / "size").write_text(f"{SIZE}\n")
        self.registers = self._file(root / "dev/uio3", 1 << MAP.address_bits).view("<u4")
        self.memory = self._file(root / f"dev/{name}-buffer", SIZE)
        for register in MAP.constants:
            self[register.name] = about[register.name]
        self["CTRL"] = 0xC  # idle and ready
        if interrupts:
            self._listens = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._listens.bind(str(root / "dev/uio3.irq"))
            self._listens.listen()
            self._listens.setblocking(False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play)

    @staticmethod
    def _file(path: Path, size: int) -> np.ndarray:
        path.write_bytes(bytes(size))
        with path.open("r+b") as file:
            return np.frombuffer(mmap.mmap(file.fileno(), size), np.uint8)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        for one in (self._irq, self._listens):
            if one is not None:
                one.close()

    def __getitem__(self, name: str) -> int:
        return int(self.registers[MAP[name].address // 4])

    def __setitem__(self, name: str, value: int) -> None:
        self.registers[MAP[name].address // 4] = value

    def _play(self) -> None:
        while not self._stop.is_set():
            if self["ERROR"]:
                self["ERROR"] = 0
            control = self["CTRL"]
            if control & 1:
                time.sleep(0.02 if self._listens else 0)
                self._compute()
                self["CTRL"] = 2  # done
                self["ISR"] = self["IER"] & 1
            elif control & 0x10:
                self["CTRL"] = 0xC
                self["ISR"] = 0
            if self._listens is not None:
                self._interrupt(self._listens)
            time.sleep(1e-4)

    def _interrupt(self, listens: socket.socket) -> None:
        """Of a level: it comes again as long as it is enabled and nobody clears its cause."""
        try:
            if self._irq is None:
                self._irq = listens.accept()[0]
                self._irq.setblocking(False)
            if self._irq.recv(4) == struct.pack("=I", 1):
                self.enabled += 1
                self._armed = True
        except BlockingIOError:
            pass
        if self._irq and self._armed and self["ISR"] and self["GIE"] and not self.lost:
            self._armed = False
            self._irq.send(struct.pack("=I", 1))

    def _compute(self) -> None:
        about, each = self.about, self.container // 8
        pairs = [(self[f"{name}_LO"] | self[f"{name}_HI"] << 32) - ADDRESS
                 for name in ("IN_ADDR", "OUT_ADDR")]
        window = self["FLAGS"] & MAP["FLAGS"].field("WINDOW").mask
        order = np.arange(about["OUT_ELEMENTS"]) % about["IN_ELEMENTS"]
        for n in range(self["FRAMES"]):
            if window:
                ins, outs = (self.registers.view(np.uint8)[MAP.window(name).address:]
                             for name in ("WINDOW_IN", "WINDOW_OUT"))
            else:
                ins = self.memory[pairs[0] + n * about["IN_BYTES"]:]
                outs = self.memory[pairs[1] + n * about["OUT_BYTES"]:]
            elements = ins[:about["IN_ELEMENTS"] * each].reshape(-1, each)
            outs[:about["OUT_ELEMENTS"] * each] = elements[order].ravel()
