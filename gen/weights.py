"""Another training of the same shape for a finished core: new memory images, the same Verilog."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from gatefold.gen.check import load_folder
from gatefold.gen.cut.folder import load_host, save_host
from gatefold.gen.cut.parts import frames_given
from gatefold.gen.errors import UserError
from gatefold.gen.files.names import FLOATS, INTEGERS
from gatefold.gen.files.output import replace_files
from gatefold.gen.files.sealed import sealed
from gatefold.gen.host.driver_files import DRIVER, build_hash, write_load
from gatefold.gen.html import write_page
from gatefold.gen.network.around import Around
from gatefold.gen.network.forward import forward
from gatefold.gen.network.graph import Network
from gatefold.gen.network.logits import with_logits
from gatefold.gen.network.recurrent import Lstm
from gatefold.gen.numbers.choose import check_clip
from gatefold.gen.numbers.fit import moments_of
from gatefold.gen.numbers.quantize import (
    FITTED,
    SATURATED,
    requantize_into,
    saturated_weights,
)
from gatefold.gen.report import (
    describe_network,
    describe_numbers,
    input_hash,
    read_report,
    write_report,
)
from gatefold.gen.samples import sample_floats, write_example_data, write_vectors
from gatefold.gen.store.export import write_weights
from gatefold.gen.store.folder import load_plan
from gatefold.gen.store.network_io import save_network
from gatefold.gen.store.quantized_io import save_quantized

__all__ = ["replace_weights"]


def replace_weights(network: Network, directory: str | os.PathLike, data=None, *,
                    seed: int = 0, saturate: bool = False) -> dict:
    """Write ``network``'s weights into the core in ``directory``; the new report.

    Weights, integers, floats, the vectors of the cocotb bench and the report change together or
    not at all; formats and Verilog stay, and what was verified is forgotten. ``data``, of any form
    that :func:`~.frames.as_frames` takes: error and saturation are measured on it, or without it on
    seeded random inputs. ``saturate``: weights beyond their format take its nearest value; the
    report counts them.
    Raises :class:`UserError` if the model has another shape or does not fit the formats.
    """
    path, old = Path(directory), load_folder(directory)
    report = read_report(path)
    if old.window:
        raise UserError("the core's windows overlap (--hop), so its layers are not the model's: "
                        f"build it again with --hop {old.input_shape[0]}")
    if "sigmoid" in old.host:
        network = with_logits(network)
    given = None if data is None else frames_given(network, network.around, data, "the input")
    moments = None if given is None or not old.calibration.get(FITTED) else moments_of(
        network, given)
    qnet = requantize_into(network, old, saturate=saturate, moments=moments)
    plan = load_plan(path).retrained(qnet)
    _check_cut(network.around, load_host(path))
    floats = sample_floats(network, given, seed)
    _check_clips(network, floats)
    numbers = describe_numbers(network, qnet, floats, given, seed)
    if given is not None:
        numbers["error"]["data"] = f"{len(floats)} samples of the given data"
    formats = report.get("numbers", {}).get("calibration", {})  # older than the weights
    numbers["calibration"] = {name: value for name, value in formats.items()
                              if name not in (SATURATED, *([] if moments else [FITTED]))
                              } | saturated_weights(qnet)
    report |= {"network": describe_network(network), "numbers": numbers, "verified": [],
               "input_hash": input_hash(network)}
    with replace_files(path) as staged:
        write_weights(staged / "weights", plan)
        save_quantized(staged / INTEGERS, qnet)
        save_network(staged / FLOATS, network)
        if network.around is not None:
            save_host(staged, network.around)
        _check_names(staged / "weights", path / "weights")
        write_vectors(staged, path, plan, floats)
        if (path / DRIVER).is_dir():
            write_example_data(staged, qnet, plan.config.contexts, floats)
            if plan.config.loadable:
                write_load(staged / "weights", plan, build_hash(path / DRIVER))
        report["files"] = report.get("files", {}) | sealed(staged)
        write_report(staged, report)
        write_page(staged, report, plan)
    return report


def _check_clips(network: Network, x: np.ndarray) -> None:
    """Raise :class:`UserError` where the file's clip of a cell state takes effect on ``x``."""
    if any(isinstance(layer, Lstm) and layer.c_clip for layer in network.layers):
        trace: dict = {}
        forward(network, x, trace=trace)
        for name, layer in zip(network.names, network.layers, strict=True):
            if isinstance(layer, Lstm):
                check_clip(name, layer, float(np.abs(trace[name]["c"]).max()))


def _check_cut(new: Around | None, old: Around | None) -> None:
    """The host must do the same parts of the model as in the core's folder."""
    if (new is None) != (old is None):
        raise UserError("the core is part of a model that was cut: cut this one as well, with the "
                        "options of the build (--cut auto)" if new is None else
                        "the core is a whole model, not part of one: leave the options of the cut "
                        "out")
    if new is not None and old is not None:
        for what in ("inputs", "outputs", "into", "out_of"):
            shapes = [[port.dims for port in getattr(one, what)] for one in (new, old)]
            if shapes[0] != shapes[1]:
                raise UserError(f"the model is cut elsewhere than the core's: {shapes[0]} is not "
                                f"{shapes[1]} ({what}): cut it as in the build")


def _check_names(new: Path, old: Path) -> None:
    """The images must be those that the Verilog names, and the program must be the Verilog's."""
    names, there = sorted(p.name for p in new.iterdir()), sorted(p.name for p in old.glob("*.hex"))
    if names != there:
        raise UserError(f"the folder's weights/ holds {len(there)} images where {len(names)} "
                        "belong: build the folder again")
    for name in ("program.hex", "segments.hex"):
        if (new / name).read_bytes() != (old / name).read_bytes():
            raise UserError(f"weights/{name} differs from what this version makes: build the "
                            "folder again")
