"""A layer in words: its title, and its options beside its sizes."""

from __future__ import annotations

from collections import Counter

__all__ = ["cut_in_words", "in_turn", "is_chain", "layer_note", "layer_title", "net_title",
           "windows_in_words"]

#: Kinds whose title is not their own name in capitals; _SIZES: the size in some titles.
_TITLES = {"lstm": "LSTM", "gru": "GRU", "rnn": "SimpleRNN", "conv1d": "Conv1D",
           "max_pool": "MaxPool", "average_pool": "AveragePool", "repeat_vector": "Repeat"}
_SIZES = {"lstm": "units", "gru": "units", "rnn": "units", "dense": "outputs",
          "conv1d": "outputs", "max_pool": "size", "average_pool": "size"}
#: Options that title and shapes show already.
_SHOWN = ("units", "outputs", "features", "timesteps", "shape", "activation")
#: Values that need no mention.
_USUAL = {"recurrent_activation": "sigmoid", "stride": 1, "dilation": 1, "left": 0, "right": 0,
          "z_clip": 0, "c_clip": 0}
_WORDS = {"size": "{} taps", "left": "padding {} before", "right": "padding {} after",
          "recurrent_activation": "gates {}", "h0": "{} h0", "c0": "{} c0",
          "z_clip": "sums clipped at {} / 65536", "c_clip": "c clipped at {:g}",
          "w_p": "peepholes"}
_YES = {"stateful": "keeps its state", "drop": "the axis dropped"}
_NO = {"return_sequences": "the last step", "reset_after": "reset before the product"}
_FEW = 6  # layers that a title names one by one


def cut_in_words(cut: dict) -> str:
    """Which layers of a model the host computes, and the shares of the multiplications."""
    parts = []
    for where in ("before", "behind"):
        layers = cut[where]
        if layers:
            names = dict.fromkeys(ascii(layer["origin"] or layer["kind"])
                                  for layer in (layers[0], layers[-1]))
            parts.append(f"{len(layers)} layer{'s' * (len(layers) > 1)} {where} it "
                         f"({' to '.join(names)}, {cut['share'][where]:.1%} of the "
                         "multiplications)")
    host = " and ".join(parts)
    return (f"the core does {cut['share']['core']:.1%} of the model's multiplications; the host "
            f"computes {host or 'nothing'}")


def layer_title(layer: dict) -> str:
    """``LSTM 128``, ``Dense 1 tanh``, ``Repeat 6 times``, ``Add``."""
    kind, options, title = layer["kind"], layer["options"], _kind(layer)
    if kind == "repeat_vector":
        return f"{title} {layer['output_shape'][0]} times"
    size = options.get(_SIZES.get(kind, ""))
    function = _function(layer)
    return " ".join(str(part) for part in (title, size, function) if part not in (None, ""))


def _kind(layer: dict) -> str:
    return _TITLES.get(layer["kind"]) or layer["kind"].replace("_", " ").capitalize()


def _function(layer: dict) -> str:
    """The activation of a layer, if it is not the usual one of its kind."""
    function = str(layer["options"].get("activation", ""))
    usual = "tanh" if layer["kind"] in ("lstm", "gru", "rnn") else "linear"
    return "" if function == usual else function.replace("_", " ")


def layer_note(layer: dict) -> str:
    """The options that are neither usual nor in the title."""
    parts = []
    for name, value in layer["options"].items():
        if name in _SHOWN or name == _SIZES.get(layer["kind"]) or value == _USUAL.get(name):
            continue
        if isinstance(value, bool):
            words = (_YES if value else _NO).get(name)
            parts += [words] if words else []
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            parts.append(_WORDS.get(name, f"{name} {{}}").format(text).replace("_", " "))
    return ", ".join(parts)


def in_turn(cycles: dict) -> str:
    """The intervals whose mean the report states, if several take turns; "" for one."""
    turns = cycles.get("intervals", [])  # older reports have one
    return f" ({' and '.join(f'{one:,}' for one in turns)} in turn)" if len(turns) > 1 else ""


def is_chain(network: dict) -> bool:
    """Whether every layer reads the one before it, and nothing else does."""
    before = "input 0"
    for layer in network["layers"]:
        if layer["inputs"] != [before]:
            return False
        before = layer["name"]
    return [output["value"] for output in network["outputs"]] == [before]


def net_title(network: dict, computing: set[str]) -> str:
    """The layers that compute, in their order, with arrows where they are a chain; for many layers,
    how many of each kind have weights."""
    layers = [layer for layer in network["layers"]
              if layer["name"] in computing or layer["kind"] == "repeat_vector"]
    if len(layers) > _FEW:
        kinds = Counter(_kind(layer) for layer in layers if layer["parameters"])
        return ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    between = " \N{RIGHTWARDS ARROW} " if is_chain(network) else ", "
    return between.join(layer_title(layer) for layer in layers)


def windows_in_words(windows: dict) -> str:
    """What a core saves whose windows overlap."""
    whole = windows["whole"]
    share = windows["multiplications"] / whole["multiplications"]
    return (f"a frame brings {windows['hop']} of a window's {windows['window']} samples: "
            f"{windows['multiplications']:,} of {whole['multiplications']:,} multiplications "
            f"({share:.0%}), interval {windows['interval']:,} instead of {whole['interval']:,} "
            f"cycles on the same array; the first whole window ends with frame "
            f"{windows['frames']} of a recording")
