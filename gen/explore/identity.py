"""The inputs of a finished point besides its array: if one changes, the point is void."""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from gatefold.boards import BOARDS
from gatefold.boards import get as get_board
from gatefold.gen.explore.point import Job
from gatefold.gen.files.arrays import array_digest
from gatefold.gen.network.graph import Network
from gatefold.gen.options import FORMATS, ExploreOptions
from gatefold.gen.report import input_hash

__all__ = ["code_digest", "identity", "job_key"]

_PARTS = ("hdl", "gen", "boards")
_SHOWS = ("cli", "html")  # sub-packages of gen that change no point

_OPTIONS = ("board", "clock", "seed", "hop", *FORMATS)  # the clock decides the levels of registers
#: How a message calls an entry of an identity that differs.
NAMES = {"network": "the model", "calibration": "the calibration data",
         "code": "the version of Gatefold",
         **{name: f"--{name.replace('_', '-')}" for name in _OPTIONS}}


@functools.cache
def code_digest() -> str:
    """sha256 over the source of the installed modules that a point depends on."""
    digest = hashlib.sha256()
    for part in _PARTS:
        root = Path(str(importlib.import_module(f"gatefold.{part}").__file__)).parent
        for path in sorted((*root.rglob("*.py"), *root.rglob("*.toml"))):
            name = path.relative_to(root)
            if name.parts[0] not in _SHOWS:
                source = path.read_bytes()
                digest.update(f"{part}/{name.as_posix()} {len(source)}\n".encode() + source)
    return digest.hexdigest()


def identity(network: Network, calibration: np.ndarray | None, settings: ExploreOptions) -> dict:
    """The identity of an exploration. Widths, sizes and goals are not in it: a sweep may grow."""
    # The weights and not the model file: some models keep their weights beside it.
    return {"network": input_hash(replace(network, source={})),
            "calibration": None if calibration is None else array_digest(calibration),
            "code": code_digest(), **settings.named(_OPTIONS), "board": _board(settings.board)}


def _board(name: str | None) -> str | None:
    """A board's name; of a file, which may change under its name, what it says."""
    if name is None or name in BOARDS:
        return name
    return hashlib.sha256(repr(get_board(name)).encode()).hexdigest()


def job_key(known: dict, job: Job) -> str:
    """The name of a job's line in the journal."""
    text = json.dumps([known, asdict(job)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
