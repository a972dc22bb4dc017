"""The module that a user with registers instantiates, with the pin names that tools recognise."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gatefold.hdl.core import Port
from gatefold.hdl.host.axi import ADDRESS_BITS
from gatefold.hdl.host.config import HostConfig
from gatefold.hdl.host.registers import MAP
from gatefold.hdl.host.shell import Shell

__all__ = ["HostTop"]

CONTROL, MEMORY = "s_axi_control", "m_axi_gmem"


class HostTop(wiring.Component):
    """A core, or several, with registers at ``s_axi_control`` and memory at ``m_axi_gmem``.

    The members are those of :meth:`ports`.
    """

    def __init__(self, config: HostConfig, images: dict | None = None):
        self.config, self.images = config, images
        super().__init__({port.name: port.flow(port.width) for port in self.ports(config)})

    @staticmethod
    def ports(config: HostConfig) -> list[Port]:
        """All ports but clock and reset."""
        bits, strobes = config.width, config.word_bytes
        lite = [("aw", In, {"addr": MAP.address_bits}), ("w", In, {"data": 32, "strb": 4}),
                ("b", Out, {"resp": 2}), ("ar", In, {"addr": MAP.address_bits}),
                ("r", Out, {"data": 32, "resp": 2})]
        address = {"id": 1, "addr": ADDRESS_BITS, "len": 8, "size": 3, "burst": 2, "cache": 4,
                   "prot": 3}
        full = [("aw", Out, address), ("w", Out, {"data": bits, "strb": strobes, "last": 1}),
                ("b", In, {"id": 1, "resp": 2}), ("ar", Out, address),
                ("r", In, {"id": 1, "data": bits, "resp": 2, "last": 1})]
        ports = []
        for name, what, channels in ((CONTROL, "registers", lite), (MEMORY, "memory", full)):
            for channel, flow, signals in channels:
                ports += [Port(f"{name}_{channel}{signal}", way, width, what)
                          for signal, way, width in (
                              *((signal, flow, width) for signal, width in signals.items()),
                              ("valid", flow, 1), ("ready", flow.flip(), 1))]
        return [*ports, Port("interrupt", Out, 1, "an event that IER and GIE enable")]

    def elaborate(self, platform):
        m = Module()
        m.submodules.shell = shell = Shell(self.config, self.images)
        size = self.config.word_bytes.bit_length() - 1
        # Normal, bufferable memory; unprivileged, secure data.
        fixed = {"size": size, "burst": 1, "cache": 0b0011, "prot": 0, "id": 0}
        for port in self.ports(self.config):
            outside = getattr(self, port.name)
            if port.name == "interrupt":
                m.d.comb += outside.eq(shell.interrupt)
                continue
            interface = shell.control if port.name.startswith(CONTROL) else shell.gmem
            prefix = CONTROL if interface is shell.control else MEMORY
            signal = port.name.removeprefix(f"{prefix}_")
            channel = next(one for one in ("aw", "ar", "w", "b", "r") if signal.startswith(one))
            inside = self._inside(getattr(interface, channel), signal.removeprefix(channel))
            if port.flow is In:
                m.d.comb += inside.eq(outside) if inside is not None else []
            else:
                m.d.comb += outside.eq(fixed[signal.removeprefix(channel)] if inside is None
                                       else inside)
        return m

    @staticmethod
    def _inside(stream, signal: str):
        """The signal of a channel; None for those that are fixed."""
        if signal in ("valid", "ready"):
            return getattr(stream, signal)
        shape = stream.payload.shape()
        if not hasattr(shape, "members"):  # a payload that is one signal
            return stream.payload if signal in ("addr", "resp") else None
        return stream.payload[signal] if signal in shape.members else None
