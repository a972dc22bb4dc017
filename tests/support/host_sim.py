"""A core with registers in Amaranth's simulator, beside a memory that answers at once."""

from collections import deque

from gatefold.gen.host.header import constants
from gatefold.hdl.host.registers import MAP
from gatefold.hdl.host.shell import Shell
from tests.support.hdl_harness import simulate

REG = {name: value for name, value, _ in constants(MAP)}
LIMIT = 30_000  # cycles


class HostSim:
    """Runs a script against a :class:`Shell`.

    The memory takes an address in every cycle, gives a word of a burst in every cycle from the next
    one on, and answers a write in the cycle after its last word. ``spoil``, of a read burst (number
    of the burst, words): what (data, resp, last) come of it. ``stopped``: channels of the memory
    at which nothing moves. What the master offers must stay until memory takes it.
    """

    def __init__(self, host, images=None, *, spoil=None):
        self.host, self.dut = host, Shell(host, images)
        self.size = host.word_bytes
        self.memory: dict[int, int] = {}  # words by number
        self.spoil = spoil or (lambda number, words: words)
        self.stopped: set[str] = set()

    def put(self, address: int, content: bytes) -> None:
        for n in range(0, len(content), self.size):
            self.memory[(address + n) // self.size] = int.from_bytes(
                content[n:n + self.size], "little")

    def get(self, address: int, length: int) -> bytes:
        words = range(address // self.size, -(-(address + length) // self.size))
        return b"".join(self.memory.get(word, 0).to_bytes(self.size, "little")
                        for word in words)[:length]

    async def write(self, ctx, register: int, value: int) -> None:
        bus = self.dut.control
        ctx.set(bus.aw.payload, register)
        ctx.set(bus.w.payload, {"data": value, "strb": 15})
        ctx.set(bus.aw.valid, 1)
        ctx.set(bus.w.valid, 1)
        await ctx.tick().until(bus.w.ready)
        ctx.set(bus.aw.valid, 0)
        ctx.set(bus.w.valid, 0)
        ctx.set(bus.b.ready, 1)
        await ctx.tick().until(bus.b.valid)

    async def read(self, ctx, register: int) -> int:
        bus = self.dut.control
        ctx.set(bus.ar.payload, register)
        ctx.set(bus.ar.valid, 1)
        await ctx.tick().until(bus.ar.ready)
        ctx.set(bus.ar.valid, 0)
        ctx.set(bus.r.ready, 1)
        (value,) = await ctx.tick().sample(bus.r.payload.data).until(bus.r.valid)
        return value

    async def descriptor(self, ctx, **registers: int) -> int:
        """Run one; its cycles."""
        await self.start(ctx, **registers)
        return await self.end(ctx)

    async def start(self, ctx, **registers: int) -> None:
        for name, value in registers.items():
            await self.write(ctx, REG[f"GF_{name}"], value)
        await self.write(ctx, REG["GF_CTRL"], 1 | REG["GF_CTRL_AP_CONTINUE"])

    async def end(self, ctx) -> int:
        """Wait for it; its cycles."""
        for _ in range(LIMIT):
            if await self.read(ctx, REG["GF_CTRL"]) & REG["GF_CTRL_AP_DONE"]:
                return await self.read(ctx, REG["GF_LAST_CYCLES"])
        raise AssertionError("no end")

    async def _reads(self, ctx):
        port, words, number = self.dut.gmem, deque(), 0
        while True:
            ctx.set(port.ar.ready, "ar" not in self.stopped)
            _, _, asked, burst, taken = await ctx.tick().sample(
                port.ar.valid & port.ar.ready, port.ar.payload, port.r.valid & port.r.ready)
            if taken:
                words.popleft()
            if asked:
                first = burst.addr // self.size
                assert burst.addr // 4096 == (burst.addr + (burst.len + 1) * self.size - 1) // 4096
                words.extend(self.spoil(number, [
                    (self.memory.get(first + n, 0), 0, n == burst.len)
                    for n in range(burst.len + 1)]))
                number += 1
            ctx.set(port.r.valid, bool(words) and "r" not in self.stopped)
            if words:
                data, resp, last = words[0]
                ctx.set(port.r.payload, {"data": data, "resp": resp, "last": last})

    async def _writes(self, ctx):
        port, bursts, at, owed = self.dut.gmem, deque(), 0, 0
        while True:
            ctx.set(port.aw.ready, "aw" not in self.stopped)
            ctx.set(port.w.ready, "w" not in self.stopped
                    and (bool(bursts) or "aw" not in self.stopped))
            _, _, asked, burst, comes, data, strb, last, answered = await ctx.tick().sample(
                port.aw.valid & port.aw.ready, port.aw.payload, port.w.valid & port.w.ready,
                port.w.payload.data, port.w.payload.strb, port.w.payload.last,
                port.b.valid & port.b.ready)
            if asked:
                bursts.append(burst.addr // self.size)
            if comes:
                mask = sum(255 << 8 * n for n in range(self.size) if strb >> n & 1)
                word = bursts[0] + at
                self.memory[word] = self.memory.get(word, 0) & ~mask | data & mask
                at = 0 if last else at + 1
                if last:
                    bursts.popleft()
            owed += bool(comes and last) - answered
            ctx.set(port.b.valid, owed > 0 and "b" not in self.stopped)

    async def _offers(self, ctx):
        """What the master offers stays."""
        port, before = self.dut.gmem, {}
        while True:
            seen = await ctx.tick().sample(*(
                signal for name in ("ar", "aw", "w") for channel in [getattr(port, name)]
                for signal in (channel.valid, channel.ready, channel.payload)))
            for n, name in enumerate(("ar", "aw", "w")):
                valid, ready, payload = seen[2 + 3 * n:5 + 3 * n]
                assert name not in before or (valid and payload == before[name]), name
                before.pop(name, None)
                if valid and not ready:
                    before[name] = payload

    def run(self, script) -> None:
        """``await script(ctx)`` to its end."""
        simulate(self.dut, script, self._reads, self._writes, self._offers)
