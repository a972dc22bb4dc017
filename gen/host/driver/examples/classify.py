"""classify.py DEVICE [SAMPLES]: what each sample is, as in classify.c.

    python classify.py sim:../..                  # after make -C .. sim
    python classify.py uio:gatefold0 x.npy        # on the board; core.json lies in ..
"""

import sys
from pathlib import Path

import numpy as np

import gatefold.driver

HERE = Path(__file__).resolve().parent


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    with gatefold.driver.open(sys.argv[1], core=HERE.parent) as device:
        path = Path(sys.argv[2]) if len(sys.argv) > 2 else HERE / "samples.f32"
        x = np.load(path) if path.suffix == ".npy" else np.fromfile(path, "<f4")
        x = x.reshape(-1, *device.input_shape)
        try:
            y = device.infer(x, timeout=60)
        except gatefold.driver.DeviceError as error:
            if error.code != "GF_EUNLOADED":
                raise
            device.load_weights(HERE.parent.parent / "weights" / "load.gfw")
            y = device.infer(x, timeout=60)
    for n, (one, out) in enumerate(zip(x, y.reshape(len(y), -1), strict=True)):
        if out.size == one.size:
            print(f"sample {n}: mean square error {np.mean((out - one.ravel()) ** 2):.6g}")
        else:
            kind = int(out[0] > 0.5) if out.size == 1 else int(out.argmax())
            print(f"sample {n}: class {kind} ({out.max():.6g})")
    if len(sys.argv) > 2:
        return 0
    expected = np.fromfile(HERE / "expected.f32", "<f4")
    wrong = int(np.count_nonzero(y.ravel() != expected))
    print(f"{wrong} of {expected.size} outputs differ from golden")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
