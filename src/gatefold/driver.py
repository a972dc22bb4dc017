"""Inference on a core from Python: NumPy arrays in and out.

::

    import gatefold.driver

    with gatefold.driver.open("sim:core") as device:  # or "uio:gatefold0", core="core/driver"
        y = device.infer(x)                           # (samples, *input_shape) floats

This is the protocol of the C driver (``DIR/driver``) with the same errors, and needs NumPy alone:
``DIR/driver/gatefold_driver.py`` is a copy for a board without Gatefold, and therefore this module
is one file. Nothing has to be compiled for ``uio:``; for ``sim:`` run ``make -C DIR/driver sim``
once.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import select
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

__all__ = ["Device", "DeviceError", "Transport", "open"]

_OPEN_S = 2.0
_LOAD_S = 10.0
_CLOSE_S, _ABORT_S = 0.9, 0.1
_PAGE = 4096  # the output frames begin at one
_MOST_FRAMES = 0xFFFFFF  # of a descriptor
_SPINS = 20  # times that a descriptor's end is polled before the driver waits for the interrupt
_SIM_VERSION = 1

#: What each bit of ERROR means, the most telling first: (field, code, message).
_FAULTS = (
    ("HASH", "GF_EHASH", "the core refused the frames: it has another build hash"),
    ("NO_ANSWER", "GF_ETIMEOUT", "memory did not answer, and the core gave up"),
    ("ABORTED", "GF_EFAULT", "the core was told to give up: does another program use it?"),
    ("NOT_LOADED", "GF_EUNLOADED", "the core has no weights: call load_weights() first"),
    ("LENGTH", "GF_EWEIGHTS", "the core refused the weights: their length is wrong"),
    ("READ", "GF_EBUS", "a read of the core's master got an error response"),
    ("WRITE", "GF_EBUS", "a write of the core's master got an error response"),
    ("CHECKSUM", "GF_EWEIGHTS", "the weights did not arrive intact, and the core has none now"),
)


class DeviceError(Exception):
    """A call that failed; ``code`` is one of the C driver's, such as ``"GF_ETIMEOUT"``."""

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code = code


class Transport(Protocol):
    """A way to reach a device: its registers, and memory that its master reads and writes.

    ``memory``: bytes, of which the core sees the first at ``address``.
    """

    memory: np.ndarray
    address: int

    def read(self, offset: int) -> int:
        """A register."""
        ...

    def write(self, offset: int, value: int) -> None:
        """Set a register."""
        ...

    def wait(self, seconds: float) -> None:
        """Let time pass: until an interrupt, or for at most ``seconds``."""
        ...

    def now(self) -> float:
        """Seconds since some fixed moment: of this machine, or of the simulation."""
        ...

    def close(self) -> None:
        """Let go of the device."""
        ...


def open(where: str, core: str | os.PathLike | None = None) -> Device:
    """The device at ``where``: ``sim:DIR``, the simulated core of a folder, or ``uio:NAME``.

    ``core``: the folder ``driver`` of the core, or its core.json; for ``sim:`` that of DIR, if
    not given. Raises :class:`DeviceError`.
    """
    scheme, _, place = where.partition(":")
    if scheme not in ("sim", "uio") or not place:
        raise DeviceError("GF_EINVAL", f"{where[:60]!a} names no device: give sim:DIR or uio:NAME")
    if core is None:
        if scheme == "uio":
            raise DeviceError("GF_EINVAL", "uio: needs core=DIR/driver, the driver's folder")
        core = Path(place) / "driver"
    about = _read_core(Path(core))
    transport = _Sim(Path(place)) if scheme == "sim" else _Uio(place, about["map_bytes"])
    try:
        return Device(transport, about)
    except BaseException:
        transport.close()
        raise


def _read_core(path: Path) -> dict:
    if path.is_dir():
        path = path / "core.json"
    try:
        about = json.loads(path.read_text())
        if "registers" not in about:
            raise ValueError("no registers")
    except (OSError, ValueError) as error:
        raise DeviceError("GF_EFILE", f"{str(path)!a} is no core.json of a driver ({error}): give "
                          "DIR/driver of a core built with --host axi") from None
    return about


class Device:
    """A core that can be used; a context manager that closes it.

    Parameters: ``transport``; ``core``, the contents of DIR/driver/core.json.
    Raises :class:`DeviceError` where the device is another core, or busy.
    """

    def __init__(self, transport: Transport, core: dict):
        self._to, self._about = transport, core
        self._core = core["core"]
        self.contexts = self._core["CONTEXTS"]  #: sequences in a frame
        self.input_shape = tuple(core["input_shape"])  #: of a sample
        self.output_shape = tuple(core["output_shape"])
        self._float32 = bool(self._core["CAPS"] & self._mask("CAPS.FLOAT32"))
        container = self._core["FORMAT"] & self._mask("FORMAT.CONTAINER")
        self._container = np.dtype("<f4" if self._float32 else f"<i{container // 8}")
        self._fresh, self._under_way = True, 0
        self._awaited: tuple[int, ...] | None = None  # shape of the results that wait() gives
        self._identify()
        memory = transport.memory
        each = self._core["IN_BYTES"] + self._core["OUT_BYTES"]
        #: frames that one descriptor can have
        self.max_frames = min((memory.size - _PAGE) // each, _MOST_FRAMES)
        if self.max_frames < 1:
            raise DeviceError("GF_ENOMEM", f"the DMA buffer has {memory.size} bytes, a frame takes "
                              f"{each} and a page: make it larger")
        self._out = -(-self.max_frames * self._core["IN_BYTES"] // _PAGE) * _PAGE
        self._settle()

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- what a user calls -----------------------------------------------------------------

    def infer(self, x, timeout: float = 10.0) -> np.ndarray:
        """Floats (samples, *output_shape) of floats (samples, *input_shape), float32.

        Of a core with several contexts, the samples of a frame are those of its contexts in turn,
        and their number is a multiple of the contexts. ``timeout`` in seconds, of a simulated
        device in its own time. Raises :class:`DeviceError`, also for NaN, which a core of floats
        takes as 0 (docs/numbers.md).
        """
        x = np.asarray(x)
        frames = self._frames(x)
        if not self._float32 and np.isnan(x).any():
            raise DeviceError("GF_EINVAL", "the input holds NaN: give numbers")
        raw = self._raw(self._quantized(frames), timeout)
        return self._floats(raw).reshape(len(x), *self.output_shape)

    def infer_raw(self, x, timeout: float = 10.0) -> np.ndarray:
        """The same with the core's own integers (float32 with ``--io float32``)."""
        x = np.asarray(x)
        raw = self._raw(self._integers(x), timeout)
        return raw.reshape(len(x), *self.output_shape)

    def submit(self, x) -> None:
        """Begin a batch of raw frames, at most :attr:`max_frames`; :meth:`wait` gives the result.
        """
        x = np.asarray(x)
        frames = self._integers(x)
        self._be_free()
        if len(frames) > self.max_frames:
            raise DeviceError("GF_ENOMEM", f"{len(frames)} frames are too many for one batch: the "
                              f"DMA buffer holds {self.max_frames}")
        self._start(frames)
        self._awaited = len(x), *self.output_shape

    def wait(self, timeout: float = 10.0) -> np.ndarray:
        """The raw results of :meth:`submit`; after GF_ETIMEOUT the batch is still under way."""
        shape = self._awaited
        if shape is None:
            raise DeviceError("GF_EINVAL", "no batch is under way: call submit() first")
        return self._finish(self._to.now() + timeout).reshape(shape)

    def load_weights(self, path: str | os.PathLike) -> None:
        """Load ``DIR/weights/load.gfw`` into a loadable core."""
        if not self._core["LOAD_BYTES"]:
            raise DeviceError("GF_EUNSUPPORTED", "the weights of this core are fixed: build one "
                              "with --loadable")
        self._be_free()
        image, crc = self._image(Path(path))
        self._to.memory[:len(image)] = np.frombuffer(image, np.uint8)
        self._set("WEIGHTS_BYTES", len(image))
        self._set("WEIGHTS_CRC", crc)
        self._set("FLAGS", self._mask("FLAGS.WEIGHTS") | self._mask("FLAGS.CHECK_HASH"))
        self._go(1)
        self._fresh = True  # state that other weights left means nothing
        self._end(self._to.now() + _LOAD_S)

    def reset_state(self) -> None:
        """Begin a new sequence with the next frame of a stateful core."""
        if not self._core["CAPS"] & self._mask("CAPS.STATEFUL"):
            raise DeviceError("GF_EUNSUPPORTED", "this core keeps no state between frames")
        self._fresh = True

    def counters(self) -> dict[str, int]:
        """``frames`` computed, ``cycles`` busy and ``stalls`` for memory since the reset, and
        ``last_cycles``, those of the last batch."""
        pairs = {"frames": "FRAMES_DONE", "cycles": "CYCLES", "stalls": "STALLS"}
        found = {name: self._get(f"{of}_LO") | self._get(f"{of}_HI") << 32
                 for name, of in pairs.items()}
        return found | {"last_cycles": self._get("LAST_CYCLES")}

    def close(self) -> None:
        """Let go of the device, after what is under way, or else the core gives that up."""
        try:
            if self._under_way:
                self._end(self._to.now() + _CLOSE_S)
        except DeviceError:
            if self._under_way:
                self._abort()
        finally:
            self._to.close()

    # ---- frames ----------------------------------------------------------------------------

    def _frames(self, x: np.ndarray) -> np.ndarray:
        """(frames, elements) of (samples, *input_shape)."""
        shape = self.input_shape
        if x.shape[1:] != shape or not len(x):
            raise DeviceError("GF_EINVAL", f"the input must have the shape (samples, "
                              f"{', '.join(map(str, shape))}), not {x.shape}")
        if len(x) % self.contexts:
            raise DeviceError("GF_EINVAL", f"a frame holds {self.contexts} samples: give a "
                              f"multiple of that, not {len(x)}")
        return x.reshape(len(x) // self.contexts, -1)

    def _integers(self, x: np.ndarray) -> np.ndarray:
        """Raw frames (frames, elements) that fit into their containers."""
        frames = self._frames(x)
        if self._float32:
            return frames
        if x.dtype.kind not in "iu":
            raise DeviceError("GF_EINVAL", f"raw frames must hold integers, not {x.dtype}")
        limits = np.iinfo(self._container)
        if frames.min() < limits.min or frames.max() > limits.max:
            raise DeviceError("GF_EINVAL", f"raw frames must hold integers from {limits.min} to "
                              f"{limits.max}")
        return frames

    def _quantized(self, frames: np.ndarray) -> np.ndarray:
        if self._float32:
            return frames
        counts, fracs, widths, scales, zeros = np.array(self._about["inputs"]).T
        counts = counts.astype(int)
        if scales.any():  # of a .tflite, as LiteRT's QUANTIZE: in float32, halves to even
            reciprocals = np.float32(1) / np.repeat(scales, counts).astype(np.float32)
            with np.errstate(over="ignore"):
                rounded = np.rint(frames.astype(np.float32) * reciprocals).astype(np.float64)
            return np.clip(rounded + np.repeat(zeros, counts), -128, 127)
        highest = np.repeat(2.0 ** (widths - 1) - 1, counts)
        with np.errstate(over="ignore"):
            scaled = np.floor(frames.astype(np.float64) * np.repeat(2.0 ** fracs, counts) + 0.5)
        return np.clip(scaled, -highest - 1, highest)

    def _floats(self, raw: np.ndarray) -> np.ndarray:
        values = raw.astype(np.float64)
        if not self._float32:
            counts, fracs, _, scales, zeros = np.array(self._about["outputs"]).T
            steps = np.where(scales > 0, scales, 2.0 ** -fracs)
            counts = counts.astype(int)
            values = (values - np.repeat(zeros, counts)) * np.repeat(steps, counts)
        for first, count, classes in self._about["softmax"]:
            part = values[:, first:first + count].reshape(len(values), -1, classes)
            powers = np.exp(part - part.max(axis=-1, keepdims=True))
            values[:, first:first + count] = (
                powers / powers.sum(axis=-1, keepdims=True)).reshape(len(values), -1)
        return values.astype(np.float32)

    def _raw(self, frames: np.ndarray, timeout: float) -> np.ndarray:
        """Results (frames, elements), in parts that the memory holds."""
        self._be_free()
        deadline, results = self._to.now() + timeout, []
        for at in range(0, len(frames), self.max_frames):
            self._start(frames[at:at + self.max_frames])
            results.append(self._finish(deadline))
        return np.concatenate(results)

    def _start(self, frames: np.ndarray) -> None:
        bytes_in = np.ascontiguousarray(frames.astype(self._container)).view(np.uint8)
        pitch = self._core["IN_BYTES"]
        there = self._to.memory[:len(frames) * pitch].reshape(len(frames), pitch)
        there[:, :bytes_in.shape[1]] = bytes_in
        self._set64("OUT_ADDR", self._to.address + self._out)
        stateful = self._core["CAPS"] & self._mask("CAPS.STATEFUL")
        self._set("FLAGS", self._mask("FLAGS.CHECK_HASH")
                  | (self._mask("FLAGS.FIRST") if stateful and self._fresh else 0))
        self._go(len(frames))
        self._fresh = False

    def _finish(self, deadline: float) -> np.ndarray:
        frames, pitch = self._under_way, self._core["OUT_BYTES"]
        self._end(deadline)
        there = self._to.memory[self._out:self._out + frames * pitch].reshape(frames, pitch)
        elements = self._core["OUT_ELEMENTS"]
        return there[:, :elements * self._container.itemsize].copy().view(self._container)

    def _image(self, path: Path) -> tuple[bytes, int]:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DeviceError("GF_EFILE", f"{str(path)!a} cannot be read: {error.strerror}"
                              ) from None
        head, image = data[:24], data[24:]
        if len(head) < 24 or head[:8] != b"GFWEIGHT":
            raise DeviceError("GF_EWEIGHTS", "this is no file of weights: give "
                              "DIR/weights/load.gfw")
        low, high, size, crc = struct.unpack("<8x4I", head)
        if (low, high) != (self._core["HASH_LO"], self._core["HASH_HI"]):
            raise DeviceError("GF_EWEIGHTS", "the weights are those of build "
                              f"{high:08x}{low:08x}, the core is {self._hash()}")
        if size != self._core["LOAD_BYTES"] or len(image) != size or zlib.crc32(image) != crc:
            raise DeviceError("GF_EWEIGHTS", "the file is damaged: its length or checksum is wrong")
        if size > self._to.memory.size:
            raise DeviceError("GF_ENOMEM", f"the weights take {size} bytes, the DMA buffer has "
                              f"{self._to.memory.size}: make it larger")
        return image, crc

    # ---- registers -------------------------------------------------------------------------

    def _mask(self, name: str) -> int:
        return self._about["fields"][name]

    def _get(self, name: str) -> int:
        return self._to.read(self._about["registers"][name])

    def _set(self, name: str, value: int) -> None:
        self._to.write(self._about["registers"][name], value)

    def _set64(self, name: str, value: int) -> None:
        self._set(f"{name}_LO", value & 0xFFFFFFFF)
        self._set(f"{name}_HI", value >> 32)

    def _hash(self) -> str:
        return f"{self._core['HASH_HI']:08x}{self._core['HASH_LO']:08x}"

    def _identify(self) -> None:
        if self._get("MAGIC") != self._core["MAGIC"]:
            raise DeviceError("GF_EDEVICE", "this is no Gatefold core: MAGIC reads "
                              f"{self._get('MAGIC'):#010x}")
        if self._get("VERSION") >> 16 != self._core["VERSION"] >> 16:
            raise DeviceError("GF_EDEVICE", "the core's registers are of version "
                              f"{self._get('VERSION') >> 16}, core.json is of "
                              f"{self._core['VERSION'] >> 16}")
        found = f"{self._get('HASH_HI'):08x}{self._get('HASH_LO'):08x}"
        if found != self._hash():
            raise DeviceError("GF_EHASH", f"the device holds build {found}, core.json is of "
                              f"{self._hash()}: take it from the folder of the core")
        self._set("EXPECTED_HASH", self._core["HASH_LO"])

    def _settle(self) -> None:
        """End what an earlier program left behind, and have interrupts raised from now on."""
        deadline = self._to.now() + _OPEN_S
        while not (control := self._get("CTRL")) & self._mask("CTRL.AP_IDLE"):
            if self._to.now() >= deadline:
                raise DeviceError("GF_ETIMEOUT", "the core is busy with the frames of another "
                                  f"program (CTRL {control:#04x})")
            if control & self._mask("CTRL.AP_DONE"):
                self._set("CTRL", self._mask("CTRL.AP_CONTINUE"))
            else:
                self._to.wait(0.001)
        self._set("IER", 0)
        self._set("ISR", self._get("ISR"))  # writing 1 toggles
        self._set("ERROR", 0xFFFFFFFF)
        self._set("IER", self._mask("IER.DONE"))
        self._set("GIE", self._mask("GIE.ENABLE"))

    def _go(self, frames: int) -> None:
        self._set("FRAMES", frames)
        self._set64("IN_ADDR", self._to.address)
        self._set("CTRL", self._mask("CTRL.AP_START"))
        self._under_way = frames

    def _end(self, deadline: float) -> None:
        """Wait for the descriptor; raises what ERROR says."""
        while not (control := self._get("CTRL")) & self._mask("CTRL.AP_DONE"):
            left = deadline - self._to.now()
            if left <= 0:
                raise DeviceError("GF_ETIMEOUT", "the core did not finish in time (CTRL "
                                  f"{control:#04x}): {self._under_way} frames are still under way")
            self._to.wait(left)
        self._under_way = 0
        self._awaited = None
        found = self._get("ERROR")
        self._set("ERROR", found)
        self._set("ISR", self._get("ISR"))
        self._set("CTRL", self._mask("CTRL.AP_CONTINUE"))
        if found:
            self._fresh = True  # results are missing in the sequence
        for field, code, message in _FAULTS:
            if found & self._mask(f"ERROR.{field}"):
                raise DeviceError(code, f"{message} (ERROR {found:#06x})")
        if found:
            raise DeviceError("GF_EFAULT", f"the core reported an error (ERROR {found:#06x})")

    def _abort(self) -> None:
        """Have the core give up what is under way; wait for its last access to memory."""
        deadline = self._to.now() + _ABORT_S
        try:
            self._set("ABORT", 1)
            while self._get("ABORT") and self._to.now() < deadline:
                pass
        except DeviceError:
            pass

    def _be_free(self) -> None:
        if not self._under_way:
            return
        if self._awaited is not None:
            raise DeviceError("GF_EBUSY", f"a batch of {self._under_way} frames is under way: call "
                              "wait() first")
        try:
            self._end(self._to.now())
        except DeviceError as error:
            if error.code == "GF_ETIMEOUT":
                raise DeviceError("GF_EBUSY", f"{self._under_way} frames are under way") from None
        self._fresh = True  # results are missing in the sequence


class _Sim:
    """``DIR/driver/libgatefold_sim.so`` (gatefold_sim.h)."""

    def __init__(self, folder: Path):
        path = folder / "driver" / "libgatefold_sim.so"
        if not path.is_file():
            raise DeviceError("GF_EOPEN", f"{str(path)!a} is not there: run `make -C DIR/driver "
                              "sim` in a folder built with --host axi")
        try:
            self._library = library = ctypes.CDLL(str(path.resolve()))
            for name, result, arguments in (
                    ("open", ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t)),
                    ("close", None, (ctypes.c_void_p,)),
                    ("read", ctypes.c_int, (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)),
                    ("write", ctypes.c_int, (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)),
                    ("memory", ctypes.c_void_p, (ctypes.c_void_p,) * 3),
                    ("run", None, (ctypes.c_void_p, ctypes.c_uint64)),
                    ("cycles", ctypes.c_uint64, (ctypes.c_void_p,)),
                    ("frequency", ctypes.c_uint64, (ctypes.c_void_p,))):
                function: Any = getattr(library, f"gf_sim_{name}")
                function.restype, function.argtypes = result, arguments
                setattr(self, f"_{name}", function)
            fits = library.gf_sim_version() == _SIM_VERSION
        except (OSError, AttributeError) as error:
            raise DeviceError("GF_EOPEN", f"the simulated device cannot be loaded: {error}"
                              ) from None
        if not fits:
            raise DeviceError("GF_EOPEN", "the simulated device is of another version: run "
                              "`make -C DIR/driver sim` again")
        why = ctypes.create_string_buffer(200)
        self._device = self._call("open", os.fsencode(folder), why, 200)
        if not self._device:
            raise DeviceError("GF_EOPEN", why.value.decode(errors="replace"))
        address, size = ctypes.c_uint64(), ctypes.c_size_t()
        at = self._call("memory", self._device, ctypes.byref(address), ctypes.byref(size))
        self.address = address.value
        self.memory = np.ctypeslib.as_array((ctypes.c_uint8 * size.value).from_address(at))

    def _call(self, name: str, *arguments):
        return getattr(self, f"_{name}")(*arguments)

    def read(self, offset: int) -> int:
        value = ctypes.c_uint32()
        self._answer(offset, self._call("read", self._device, offset, ctypes.byref(value)))
        return value.value

    def write(self, offset: int, value: int) -> None:
        self._answer(offset, self._call("write", self._device, offset, value))

    def _answer(self, offset: int, response: int) -> None:
        if response:
            code, got = (("GF_ETIMEOUT", "no answer") if response < 0 else
                         ("GF_EBUS", f"the error response {response}"))
            raise DeviceError(code, f"the access to register {offset:#05x} got {got}")

    def wait(self, seconds: float) -> None:
        self._call("run", self._device, max(1, int(
            seconds * self._call("frequency", self._device))))

    def now(self) -> float:
        return self._call("cycles", self._device) / self._call("frequency", self._device)

    def close(self) -> None:
        if self._device:
            self._call("close", self._device)
        self._device = None


class _Uio:
    """Registers through Linux' UIO, memory from the module u-dma-buf, mapped without a cache."""

    def __init__(self, name: str, map_bytes: int, root: str = "/"):
        top = Path(root)
        self._file: int | None = None
        number = next(self._named(top, name), None)
        if number is None:
            raise DeviceError("GF_EOPEN", f"no UIO device is called {name[:40]!a}: is the "
                              "bitstream loaded, and generic-uio in the device tree?")
        buffer = top / "sys/class/u-dma-buf" / f"{name}-buffer"
        try:
            self.address = int((buffer / "phys_addr").read_text(), 0)
            size = int((buffer / "size").read_text(), 0)
            self._file = os.open(top / f"dev/{number}", os.O_RDWR | os.O_CLOEXEC)
            self._map = mmap.mmap(self._file, map_bytes)
            there = os.open(top / f"dev/{name}-buffer", os.O_RDWR | os.O_SYNC | os.O_CLOEXEC)
            self._buffer = mmap.mmap(there, size)
            os.close(there)
        except (OSError, ValueError) as error:
            self.close()
            raise DeviceError("GF_EOPEN", f"{name} cannot be opened: {error}: is the module "
                              "u-dma-buf loaded, and are you root?") from None
        # A view of 32-bit words: every access is one of the bus.
        self._registers = (ctypes.c_uint32 * (map_bytes // 4)).from_buffer(self._map)
        self.memory = np.frombuffer(self._buffer, np.uint8)
        self._spun = 0

    @staticmethod
    def _named(top: Path, name: str) -> Iterator[str]:
        for path in sorted((top / "sys/class/uio").glob("uio*")):
            if (path / "name").read_text().strip() == name:
                yield path.name

    def read(self, offset: int) -> int:
        return self._registers[offset // 4]

    def write(self, offset: int, value: int) -> None:
        self._registers[offset // 4] = value
        self._spun = 0

    def wait(self, seconds: float) -> None:
        self._spun += 1
        if self._spun <= _SPINS:
            return
        assert self._file is not None
        os.write(self._file, struct.pack("=I", 1))  # let the interrupt through once
        # An interrupt that is lost costs no more than this.
        if select.select([self._file], [], [], min(seconds, 0.1))[0]:
            os.read(self._file, 4)

    def now(self) -> float:
        return time.monotonic()

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = None
