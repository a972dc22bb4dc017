"""Model files in, :class:`~gatefold.gen.network.graph.Network` out.

:func:`load` decides by content what a file is. Everything in it is hostile until checked: nothing
is unpickled or executed, no second file is opened unless the caller allows it, and declared sizes
are checked before anything is allocated. What is not supported is refused by name, with the remedy.

==============  ====================================================================================
``container``   reads a file and a zip within limits
``builder``     puts a network together layer by layer, whatever the format
``limits``      what a file may declare
``sizes``       open dimensions of a model's inputs, and the sizes that the user gives for them
``refusals``    all that is refused in a model, not only the first (:func:`examine`)
``cuts``        where a model is cut, and what depends on what in it; ``hosting``: layers of the
                host, and networks of layers cut around their recurrent part
``keras``       ``zip``: the .keras format; ``file``: .h5; ``live``: models in memory. ``model``:
                the graph of layers, models within models; ``inputs``: their shapes; ``classes``:
                which layers are read. ``basic``, ``conv``, ``rnn``, ``ops``:
                readers of layers, which use ``call``, ``arguments`` and ``settings`` (where every
                key of a configuration is honoured or refused). ``host``: layers that only a host
                computes. ``h5``: HDF5 within limits;
                ``weights``: where in it a layer's weights are
``elements``    for ``onnx`` and ``torch``: ``trace``: where every element of a tensor comes from.
                ``views``: any arrangement of elements as views. ``compute``: layers applied to
                arrangements
``curves``      activations that are put together of others
``onnx``        ``graph``: the walk over the graph. ``proto``: the protobuf, checked. ``layers``,
                ``recurrent``, ``windows``, ``quantised``: operators that are layers, which use
                ``site``. ``ops``: operators that move elements or compute shapes. ``loop``: a Loop
                that is a recurrent
                layer, by the ``formulas`` of its step, which are those of one of the ``cells``.
                ``cut``: a part of the graph as the core, on what is left of it when it was run
                once (``evaluate``, by the operators of ``compute``). ``ends``: where it ends.
                ``written_rnn``: an nn.RNN written out ahead of a cut, by ``ranks`` of tensors.
                ``unrolled``: a SimpleRNN written out step by step; ``steps``: removes timesteps
                that nothing reads
``torch``       ``live``: a module in memory, whose ``forward`` runs (``tracer``) on symbols
                (``symbol``). ``moves``: functions that move elements, run by torch on their
                numbers; ``modules``, ``ops``, ``math``: layers and functions that compute.
                ``layers``: torch's layers from named arrays, which ``described`` reads too
``tflite``      ``flat``: the flatbuffer, checked, by its ``schema``. ``model``: tensors, constants
                and operators. ``graph``: the walk over the graph; ``layers``: operators that are
                layers, float and int8; ``moves``: operators that move elements
``described``   ``network``: weights in a file of arrays (``weights_file``), the network in a few
                lines of text (``options``, ``layers``)
==============  ====================================================================================
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace

from gatefold.gen.errors import UserError
from gatefold.gen.frontends.builder import Incomplete
from gatefold.gen.frontends.container import (
    SAFETENSORS,
    SAVED_MODEL,
    Siblings,
    file_name,
    read_file,
)
from gatefold.gen.frontends.cuts import Cut, NeverCutError, with_around
from gatefold.gen.frontends.described.weights_file import is_weights
from gatefold.gen.frontends.limits import READ
from gatefold.gen.frontends.sizes import AS_DECLARED, OpenError, Sizes
from gatefold.gen.network.graph import Network
from gatefold.gen.network.states import carry

__all__ = ["examine", "load"]

#: Whether :func:`load` follows an ONNX file to weights in a second file, by default. torch.onnx
#: writes one by default; only a plain file beside the model is read, and no link.
EXTERNAL_DATA = True


def load(path: str | os.PathLike, *, external_data: bool = EXTERNAL_DATA,
         network: str | os.PathLike | None = None, timesteps: int | None = None,
         sizes: Mapping[str, int] | None = None,
         cut: Cut | str | tuple[str | None, ...] | None = None,
         states: str | Mapping[str, str] = "auto", keep_state: bool = False) -> Network:
    """The float network in the model file at ``path``.

    ``external_data`` allows an ONNX file to keep its weights in a second file in the same folder,
    as torch.onnx does by default. ``network`` is a file that describes the network of a
    ``.safetensors`` or ``.npz`` file, which holds weights alone (:mod:`.described`).
    ``timesteps`` fixes the time axis of an ONNX or Keras model that leaves it open, ``sizes`` open
    dimensions by name (:mod:`.sizes`). ``cut``: "auto", or the names of the first and the last
    layer of the core (None: the model's own end); the host computes the rest (``around`` of the
    result); ("auto", FIRST, LAST) takes the model from layer to layer, and leaves out the rest.
    ``states``: which outputs its caller hands back as inputs, so that the core keeps them
    (:func:`~gatefold.gen.network.states.carry`). ``keep_state``: the LSTMs of a ``.tflite`` file,
    which does not say it, go on in each frame with the state of the last one, as LiteRT's do until
    they are reset.

    ``source`` of the result holds ``format``, ``exporter``, ``name``, ``sha256`` and ``bytes`` of
    the file, never its path: the same model gives the same report wherever it lies.

    Raises :class:`UserError`, one line, for whatever is wrong with the file.
    """
    loaded = _load(path, external_data, network, Sizes(timesteps, sizes or {}), Cut.given(cut),
                   states, every=False)
    if not keep_state:
        return loaded
    if loaded.source["format"] != "tflite":
        raise UserError("--keep-state goes with .tflite files: other models say themselves whether "
                        "they are stateful")
    return replace(loaded, layers=tuple(
        replace(layer, stateful=True) if layer.states else layer for layer in loaded.layers))


def examine(path: str | os.PathLike, *, network: str | os.PathLike | None = None,
            sizes: Sizes = AS_DECLARED, cut: Cut | None = None,
            states: str | Mapping[str, str] = "auto") -> Network:
    """As :func:`load`, but for every refusal at once.

    Raises :class:`~.builder.Incomplete` for a model that is refused, with all that is refused in
    it; :class:`~.sizes.OpenError` where an input has no fixed shape; another :class:`UserError`
    for a file that is no model, and for one of weights.
    """
    return _load(path, EXTERNAL_DATA, network, sizes, cut, states, every=True)


def _load(path: str | os.PathLike, external_data: bool, description: str | os.PathLike | None,
          sizes: Sizes, cut: Cut | None, states: str | Mapping[str, str], every: bool) -> Network:
    data = read_file(path)
    name = file_name(path)
    try:
        loaded = carry(_parse(data, name, Siblings(path) if external_data else None, description,
                              sizes, cut, every), states)
    except UserError as error:
        if every and isinstance(error, Incomplete | OpenError):
            raise
        text = error.what
        error.args = (text if text.startswith(name) else f"{name}: {text}",)
        raise error from None
    loaded = with_around(loaded)
    loaded.source.update(name=name[1:-1], sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    return loaded


def _parse(data: bytes, name: str, siblings: Siblings | None,
           description: str | os.PathLike | None, sizes: Sizes,
           cut: Cut | None, every: bool) -> Network:
    if is_weights(data, name):
        sizes.refuse(f"{name} holds weights, and their description states the shape of the input")
        from gatefold.gen.frontends.described import network as described
        return described.parse(data, name, description, cut)
    if description is not None:
        raise UserError(f"{name} holds its network itself: a description (--network) goes with "
                        ".safetensors and .npz files")
    if data.startswith(b"PK"):
        from gatefold.gen.frontends.keras import zip as keras_zip
        return keras_zip.parse(data, name, sizes, every, cut)
    if data.startswith(b"\x89HDF\r\n\x1a\n"):
        from gatefold.gen.frontends.keras import file as keras_file
        return keras_file.parse(data, name, sizes, every, cut)
    if data[4:8] == b"TFL3":
        from gatefold.gen.frontends.tflite import graph as tflite_graph
        if cut is not None:
            raise NeverCutError(f"{name} is a .tflite file, which is not cut: give it without "
                                "--cut, --from and --to, or the model as .keras or .onnx")
        return tflite_graph.parse(data, name, sizes, every)
    _refuse_others(data, name)
    from gatefold.gen.frontends.onnx import graph as onnx_graph
    make = None
    if cut is not None:
        from gatefold.gen.frontends.onnx.cut import maker
        make = maker(cut)
    network = onnx_graph.parse(data, name, siblings, sizes, every, make)
    if siblings is not None and siblings.bytes:
        network.source.update(external_sha256=siblings.sha256.hexdigest(),
                              external_bytes=siblings.bytes)
    return network


#: What a checkpoint of torch.save before its zips begins with, behind the pickle's version.
_TORCH_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"


def _refuse_others(data: bytes, name: str) -> None:
    """Name the known formats that are neither a zip nor ONNX, and say what to do instead."""
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        torch = data[2:].startswith(_TORCH_MAGIC)
        raise UserError(f"{name} is a {'PyTorch' if torch else 'Python'} pickle: pickles are not "
                        "read, they can run code; "
                        + (SAFETENSORS if torch else "save its arrays with numpy.savez, and "
                           "describe their network in a few lines (--network net.toml)"))
    if name == "'saved_model.pb'":
        raise UserError(f"{name} is a TensorFlow SavedModel: {SAVED_MODEL}")
    if data.startswith(b"\x93NUMPY"):
        raise UserError(f"{name} is a NumPy array, not a model: {READ}")
