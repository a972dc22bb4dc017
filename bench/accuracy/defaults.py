"""Would other defaults of the quantiser serve other networks too? Errors on the trained models.

A setting that helps one network in the detection table need not help others: so the same changes
are tried on lstm-dense, a forecaster, and compared by the errors of the output.
"""

from __future__ import annotations

import numpy as np
from arithmetics import MODEL

from gatefold.gen.frontends import load
from gatefold.gen.measure.search import error_of
from gatefold.gen.network.forward import forward
from gatefold.gen.numbers.calibrate import calibrate
from gatefold.gen.numbers.quantize import quantize

__all__ = ["TRIED", "elsewhere"]

#: The settings that are tried beside the defaults.
TRIED: dict[str, dict] = {"defaults": {}, "weights by mse": {"weight_rule": "mse"},
                          "table of 12 bits": {"table_bits": 12},
                          "both": {"weight_rule": "mse", "table_bits": 12}}
_BITS = (10, 8, 6)
_FILES = {"mgab-autoencoder": "mgab-autoencoder.safetensors", "lstm-dense": "lstm-dense.onnx"}
_SAMPLES = 64


def elsewhere() -> dict[str, dict[str, dict[str, float]]]:
    """By model and bits of weights and activations, the errors with the settings :data:`TRIED`: rms
    over the range of the output, on calibration samples."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, file in _FILES.items():
        network = load(MODEL.parent / name / file)
        with np.load(MODEL.parent / name / "calibration.npz", allow_pickle=False) as stored:
            seen, x = calibrate(network, stored["x"], look=True), stored["x"][:_SAMPLES]
        floats = forward(network, x)
        for bits in _BITS:
            found.setdefault(name, {})[str(bits)] = {
                title: error_of(network, quantize(network, calibration=seen, act_width=bits,
                                                  weight_width=bits, **settings), x, floats)
                for title, settings in TRIED.items()}
    return found
