"""Settings of single layers' formats, from a small TOML file.

    [default]                  # for all layers
    weights = 8                # bits: each tensor's format is chosen, as without the file
    activations = 12           # inputs, h, y
    cell = 16                  # a cell or GRU state
    rule = "percentile"        # max, percentile or mse: how formats of values are chosen
    weight_rule = "mse"        # the same for weights
    percentile = 99.99

    [l0_lstm]                  # a layer, by its generated name
    weights = 6
    w_hh = 8                   # one tensor
    h = "Q1.11"                # or its format: Q<integer bits, sign included>.<fractional bits>
    c = "Q4.12"

    [input]                    # an input; of several input0, input1, ...
    activations = "Q3.9"

The tensors of a layer: LSTM ``w_ih w_hh w_p w_hr hr h c`` (w_p: peepholes; w_hr, hr: a
projection), GRU ``w_ih w_hh h c m`` (r multiplies m),
SimpleRNN ``w_ih w_hh h``, Dense and Conv1D ``w y``, others ``y``; an input's ``x``.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.files.arrays import without_blocking
from gatefold.gen.network.frames import input_names
from gatefold.gen.network.graph import Network
from gatefold.gen.network.layers import Layer
from gatefold.gen.numbers.formats import as_rule
from gatefold.gen.numbers.qformat import QFormat
from gatefold.gen.numbers.settings import DEFAULT, WIDTHS, group_of

__all__ = ["check_overrides", "read_overrides"]

_BYTES = 1 << 20  # of a file
_FORMAT = re.compile(r"Q(-?\d{1,3})\.(-?\d{1,3})")
_CHOICES = ("rule", "weight_rule", "percentile", "row_scales")
_GROUPS = ("weights", "activations", "cell")

Overrides = dict[str, dict[str, object]]


def read_overrides(path: str | os.PathLike, network: Network) -> Overrides:
    """The entries of the file by section and key, formats as :class:`QFormat`.

    Raises :class:`UserError` for a file that is missing, too large or no TOML, and where
    :func:`check_overrides` does.
    """
    where = f"the formats file {quoted(os.path.basename(os.fspath(path)))}"
    try:
        with open(path, "rb", opener=without_blocking) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UserError(f"{where} must be a TOML file, not a directory or device")
            data = file.read(_BYTES + 1)
    except OSError as error:
        raise UserError(f"{where} cannot be read: {error.strerror or quoted(error)}") from None
    if len(data) > _BYTES:
        raise UserError(f"{where} holds over {_BYTES} bytes: a few lines a layer are enough")
    try:
        entries = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError too
        raise UserError(f"{where} is no TOML ({quoted(error)}): correct that line") from None
    return check_overrides(entries, network, where)


def check_overrides(entries: object, network: Network,
                    where: str = "the overrides") -> Overrides:
    """``entries``, sections of keys, checked for ``network``; formats may be text (``Q1.11``).

    Raises :class:`UserError` for a section that is no layer's or input's name, a key that its layer
    does not have, and illegal values.
    """
    if not isinstance(entries, Mapping):
        raise UserError(f"{where} must be sections of keys, not {quoted(entries)}")
    legal = _sections(network)
    checked: Overrides = {}
    for section, keys in entries.items():
        if section not in legal:
            raise UserError(f"{where}: there is no {quoted(section)} in this network: the sections "
                            f"may be {_listed(legal)}")
        if not isinstance(keys, Mapping):
            raise UserError(f"{where}: {section} must be a section, [{section}], not a value")
        for key, value in keys.items():
            if key not in legal[section]:
                raise UserError(f"{where}: [{section}] has no {quoted(key)}: its keys may be "
                                f"{', '.join(legal[section])}")
            checked.setdefault(section, {})[key] = _value(f"{where}: [{section}] {key}", key, value)
    return checked


def _sections(network: Network) -> dict[str, tuple[str, ...]]:
    """Legal keys of every legal section."""
    found: dict[str, tuple[str, ...]] = {DEFAULT: (*_GROUPS, *_CHOICES)}
    found |= {name: ("activations", "x", "rule", "percentile") for name in input_names(network)}
    for name, layer in zip(network.names, network.layers, strict=True):
        if layer.computes:
            found[name] = (*_keys(layer), *_CHOICES)
    return found


def _keys(layer: Layer) -> tuple[str, ...]:
    groups = {group_of(tensor) for tensor in layer.tensors}
    return (*(group for group in _GROUPS if group in groups), *layer.tensors)


def _value(where: str, key: str, value: object) -> object:
    if key == "row_scales":
        if not isinstance(value, bool):
            raise UserError(f"{where} must be true or false, not {quoted(value)}")
        return value
    if key in _CHOICES:
        try:
            as_rule(*(("max", value) if key == "percentile" else (value,)))  # type: ignore
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        return value
    if isinstance(value, QFormat):
        form = value
    elif isinstance(value, str):
        found = _FORMAT.fullmatch(value)
        if not found:
            raise UserError(f"{where} must be bits ({WIDTHS[0]}..{WIDTHS[-1]}) or a format like "
                            f'"Q1.11", not {quoted(value)}')
        whole, frac = int(found[1]), int(found[2])
        if whole + frac not in WIDTHS:
            raise UserError(f"{where}: {value} has {whole + frac} bits, "
                            f"{WIDTHS[0]}..{WIDTHS[-1]} are possible")
        form = QFormat(whole + frac, frac)
    elif isinstance(value, bool) or not isinstance(value, int) or value not in WIDTHS:
        raise UserError(f"{where} must be {WIDTHS[0]}..{WIDTHS[-1]} bits, or a format like "
                        f'"Q1.11", not {quoted(value)}')
    else:
        return value
    if form.width not in WIDTHS:
        raise UserError(f"{where}: {form} has {form.width} bits, {WIDTHS[0]}..{WIDTHS[-1]} are "
                        "possible")
    return form


def _listed(names) -> str:
    names = list(names)
    return ", ".join(names) if len(names) <= 12 else ", ".join((*names[:12], "..."))
