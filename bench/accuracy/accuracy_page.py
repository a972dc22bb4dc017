"""Writes docs/accuracy.md and the data of its plot from measured.json, which holds every measured
figure."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

from arithmetics import ROWS, Row

__all__ = ["QUOTED", "figures", "markdown", "table_row"]

#: Danopoulos et al., SAMOS 2022, section 5.1: accuracy by fractional bits of a 16-bit format.
QUOTED = {8: 0.9517, 6: 0.9419, 4: 0.8641}
_BY_KEY = {row.key: row for row in ROWS}
_FEW_BITS = Path(__file__).resolve().parents[2] / "tools/synth/few_bits.json"
_BASE, _PLAIN, _WELL = "float32", "w8 a8 8 bits, the defaults", "w8 a8"
_HEAD = ("| arithmetic | bits | accuracy | of float's | AUC | found | false alarms | RMSE |\n"
         "|---|---|---:|---:|---:|---:|---:|---:|")


def table_row(row: Row, found: dict, base: float | None = None) -> str:
    """A line of a table; ``base``, float's accuracy."""
    share = "–" if base is None else f"{found['accuracy'] / base:.2%}"
    return (f"| {row.title} | {row.bits} | {found['accuracy']:.2%} | {share} | "
            f"{found['auc']:.4f} | {found['found']:.2%} | {found['false_alarms']:.2%} | "
            f"{found['rmse']:.4f} |")


def figures(known: dict) -> dict:
    """The data of the plot: ``series``, by name [bits, share of float's accuracy]; ``quoted``, the
    same from the paper; ``chance``, the share of a detector that never raises an alarm."""
    base = known["rows"][_BASE]["accuracy"]
    series: dict[str, list] = {}
    for row in ROWS:
        for name, at in row.points:
            share = known["rows"][row.key]["accuracy"] / base
            series[name] = sorted([*series.get(name, []), [at, share]])
    return {"series": series, "quoted": sorted([bits, share] for bits, share in QUOTED.items()),
            "chance": (1 - known["anomalous"] / known["windows"]) / base, "accuracy": base,
            "windows": known["windows"]}


def markdown(known: dict) -> str:
    """The whole page."""
    parts = [_head(known), "![Accuracy against bits](accuracy.svg)", *_targets(known),
             *_paper(known),
             *_chosen(known), *_limits(known), *_defaults(known), *_apart(known), *_method(known),
             *_again(known)]
    return "\n\n".join(parts) + "\n"


def _targets(known: dict) -> list[str]:
    """Both tasks by the defaults, and what was wanted."""
    if "targets" not in known:
        return []
    lines = []
    for key, found in known["targets"].items():
        unit, digits = (" points", 2) if key.startswith("anomalies") else ("", 4)
        figure = found["figure"]
        scales = {None: "", True: ", row scales", False: ""}[found.get("row_scales")]
        more = (", fitted" * found.get("fitted", False), scales,
                f", x split in {found['split']}" if found.get("split", 1) > 1 else "",
                ", x carries" * found.get("input_carries", False),
                {"none": "", "last": ", last h carries", "every": ", h carries"}[
                    found.get("carry", "none")])
        rules = f"{found['rule']}, weights {found['weight_rule']}{''.join(more)}" \
            if "rule" in found else "–"
        lines.append([key, rules, "–" if figure is None else f"{figure:.{digits}f}{unit}",
                      f"{found['most']:g}{unit}"])
    return ["## Two tasks by the defaults", _filled(
        """Here `gatefold build --width BITS` decides everything: the rules with the least error on
        the calibration data, row scales where they help, weights that are fitted to the calibration
        data, inputs (x) that are split in several operands, inputs and h of LSTMs that carry the
        remainders of their rounding ([decision 031](decisions/031-few-bits.md)), and 16 bits for
        the result of the last layer. The tables further below have none of these: they show formats
        alone. *Anomalies* is the task above: the loss of accuracy. *Forecast* is an LSTM of 24
        units that predicts a Mackey-Glass series 12 time units ahead
        ([forecast.py](../bench/accuracy/forecast.py)): the NRMSE, 0.0126 in float. *Retrained*
        weights come from the recipe [retrain.py](../bench/accuracy/retrain.py), which keeps those
        with the least error on a fifth of the training series that it does not learn from; no test
        window took part in that. Other seeds:
        [decision 031](decisions/031-few-bits.md)."""),
        _columns(["task", "rules that were chosen", "measured", "wanted at most"], lines, 2),
        *_cost()]


def _cost() -> list[str]:
    """What these take in hardware, as tools/synth/few_bits.py measured it."""
    lines = []
    for bits, ways in json.loads(_FEW_BITS.read_text()).items():
        least = ways["none"]
        lines += [[f"{bits} bits, {way}", f"{found['lut']:,}",
                   f"{found['lut'] / least['lut'] - 1:+.1%}", f"{found['ff']:,}", str(found["dsp"]),
                   str(found["latency"])] for way, found in ways.items()]
    return [_filled("""
**What they cost.** Yosys (`synth_xilinx`) counts these LUTs of a small autoencoder (two LSTMs of 64
units, 10 steps) on 64 rows and 16 columns; *cycles* are those of a frame. *All* is less than its
parts, because the split gives the sums of x and of h the same fractional bits here, so that no row
shifts. Fitted weights cost nothing. [few_bits.py](../tools/synth/few_bits.py) repeats it."""),
            _columns(["core", "LUT", "more", "FF", "DSP", "cycles"], lines)]


def _filled(text: str) -> str:
    """A paragraph in lines of 100 columns; items of a list begin with "- "."""
    return textwrap.fill(" ".join(text.split()), 100, break_long_words=False,
                         break_on_hyphens=False,
                         subsequent_indent="  " if text.lstrip().startswith("- ") else "")


def _table(known: dict, keys) -> str:
    rows, base = known["rows"], known["rows"][_BASE]["accuracy"]
    return "\n".join([_HEAD, *(table_row(_BY_KEY[key], rows[key], base) for key in keys)])


def _columns(head: list[str], lines: list[list[str]], words: int = 1) -> str:
    """A table whose first ``words`` columns are words and the others numbers."""
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *lines]).replace(
        "| --- |", "|---|")


def _accuracy(known: dict, key: str) -> str:
    return f"{known['rows'][key]['accuracy']:.2%}"


def _rmse(known: dict, key: str) -> str:
    return f"{known['rows'][key]['rmse']:.4f}"


def _lost(known: dict, key: str) -> str:
    """The loss of accuracy against float, in words."""
    lost = 100 * (known["rows"][_BASE]["accuracy"] - known["rows"][key]["accuracy"])
    return f"{max(lost, 0.0):.2f} points"


def _added(known: dict, key: str, without: str) -> float:
    """The share of the squared error that row ``key`` adds to float's and ``without`` does not."""
    float32, there, here = (known["rows"][name]["rmse"] ** 2 for name in (_BASE, without, key))
    return (here - there) / (here - float32)


# ---- sections ----------------------------------------------------------------------------------


def _head(known: dict) -> str:
    return "\n\n".join(["# Accuracy in fixed point", _filled(f"""
This page shows what a number format costs in missed anomalies and false alarms. The network is
[mgab-autoencoder](../models/mgab-autoencoder/README.md) (LSTM 128, RepeatVector 50, LSTM 128,
Dense 1: the topology of \\*autoenc-5), and the task is [MGAB](../bench/accuracy/README.md):
{known['windows']:,} windows of a chaotic series, half of them with an anomaly. In float32 the
network classifies {_accuracy(known, _BASE)} of them correctly."""), _filled(f"""
**8 bits are enough.** With 8 bits for weights and activations and the defaults of the quantiser,
the loss is {_lost(known, _PLAIN)} ({_accuracy(known, _PLAIN)}); with formats that are chosen more
carefully it is {_lost(known, _WELL)} ({_accuracy(known, _WELL)}, AUC
{known['rows'][_WELL]['auc']:.4f}). The wide cell state makes this possible, and it needs no wider
multiplier. If the cell state had 8 bits too, the accuracy would be
{_accuracy(known, 'w8 a8 cell state of 8 bits')}. With 6 bits, formats alone lose
{_lost(known, 'w6 a6')} and 4 bits {_lost(known, 'w4 a4')}; with all that `gatefold build` does
below 12 bits, 6 bits lose {known['targets']['anomalies, 6 bits']['figure']:.2f} points and 4 bits
{known['targets']['anomalies, 4 bits']['figure']:.2f} points.""")])


def _paper(known: dict) -> list[str]:
    rows, base = known["rows"], known["rows"][_BASE]["accuracy"]
    lines = []
    for frac in (12, 11, 10, 8, 6, 4):
        form = f"Q{16 - frac}.{frac}"
        lines.append([f"{frac} ({form})", f"{QUOTED[frac]:.2%}" if frac in QUOTED else "–"] + [
            f"{rows[key]['accuracy'] / base:.2%}" if key in rows else "–"
            for key in (f"fixed {form}", f"cut sum {form}", f"cut product {form}")])
    return ["## The paper's construction: one format of 16 bits", _filled(f"""
Danopoulos et al. (SAMOS 2022, section 5.1) compute all of an LSTM in 16 bits and move the binary
point: "Moving to 8, 6, and 4 fractional bits the accuracy drops to 95.17%, 94.19%, and 86.41%".
Their network was trained for network intrusion detection, on data that are not public, and they do
not say whether these figures are shares of float's accuracy. So the first column is **quoted** and
belongs to another task. The other columns are **measured** here, as shares of float's
{base:.2%}."""), _columns(["fractional bits of 16", "paper, quoted", "Gatefold's arithmetic",
                           "every sum cut", "every product cut"], lines), _filled("""
We reproduced their construction as follows: inputs, weights, h, c and outputs have the same format,
and the results of tanh and sigmoid have as many fractional bits. Gatefold's arithmetic differs from
plain HLS. Its sums are exact, biases keep the fractional bits of the sums, and each result is
rounded half up and saturated once. A gate has one bit more, and the argument of the table has at
least 8 fractional bits."""), _filled("""
`ap_fixed<16, n>` without further options does not round but *cuts*: it truncates towards minus
infinity. The paper says neither which mode it used nor in which type Fig. 3 keeps a product. So the
last two columns ([cut.py](../bench/accuracy/cut.py)) are two interpretations of that figure; we do
not know what its authors built. Weights, inputs and gates are cut as well. A sum of 128 products
that are each cut is on average 64 LSBs too small. With 8 fractional bits that is 0.25, in the same
direction in every gate. **Cutting costs more here than the missing bits do.** Q4.12 holds values up
to 8, but the cell state of this network reaches 14, so that format is too small for it; Q5.11 is
not."""),
            _table(known, [row.key for row in ROWS
                           if row.kind == "fixed" and row.bits.startswith("w16")]),
            _table(known, [row.key for row in ROWS if row.kind == "cut"])]


def _chosen(known: dict) -> list[str]:
    chosen = [row.key for row in ROWS if row.kind == "float" or ("chosen" in dict(row.points))]
    searched = [row for row in ROWS if row.key.startswith("searched")]
    one = [row.key for row in ROWS if row.kind == "fixed" and not row.bits.startswith("w16")]
    return ["## Formats chosen per tensor", _filled("""
Here each tensor has a format of its own, from 200 calibration windows. The cell state has 18 bits,
which fit a port of a DSP slice anyway. *Well chosen* means `weight_rule="mse"` (the format of a
matrix may clip its largest weights where that makes the mean squared error smaller) and a tanh
table with 12 bits. The last two rows are results of a search over widths, with an error of at most
that share of the range of the output (`gatefold.gen.measure.search`)."""),
            _table(known, [*chosen, *(row.key for row in searched)]),
            "\n".join(_filled(f"- {row.title}: {_settings(known['rows'][row.key]['settings'])}.")
                      for row in searched), _filled("""
For comparison, the next table has one format of fewer than 16 bits for everything. The largest
value, a cell state, needs Q5:"""), _table(known, one)]


def _settings(found: dict) -> str:
    text = f"weights {found['weight_width']}, activations {found['act_width']} bits"
    for name, keys in sorted(found["overrides"].items()):
        text += "; " + name + " " + ", ".join(f"{key} {bits}" for key, bits in keys.items())
    return text


#: The tensors whose errors are shown: layer, tensor, words.
_INSIDE = (("l0_lstm", "z_i", "encoder, sum of gate i"), ("l0_lstm", "c", "encoder, c"),
           ("l0_lstm", "h", "encoder, h"), ("l3_lstm", "z_i", "decoder, sum of gate i"),
           ("l3_lstm", "c", "decoder, c"), ("l3_lstm", "h", "decoder, h"),
           ("l4_dense", "z", "output, before rounding"), ("l4_dense", "y", "output"))


def _limits(known: dict) -> list[str]:
    rows = known["rows"]
    keys = [_PLAIN, *(row.key for row in ROWS if row.key.startswith("w8 a8 ")
                      and row.key != _PLAIN), _WELL]
    lines = []
    for layer, tensor, title in _INSIDE:
        cells = []
        for key in (_PLAIN, _WELL):
            seen = rows[key]["inside"][layer]["tensors"][tensor]
            cells += [f"{seen['rms']:.4f}", f"{seen['rms_alone']:.4f}"]
        lines.append([title, *cells])
    c8, y16 = "w8 a8 cell state of 8 bits", "w8 a8 weights by mse, output of 16 bits"
    mse = "w8 a8 weights by mse"
    step = 2.0 ** -int(rows[c8]["formats"]["l3_lstm c"].split(".")[1])
    return ["## What limits 8 bits", "Each row changes one setting, or several, with 8 bits for "
            "weights and activations:",
            _table(known, keys), _filled("""
The next table shows where the error enters: the RMS error of tensors on 100 windows of the training
series, first as it is, and then as it would be if the layer had read the float values
(`gatefold.gen.measure.inside`)."""),
            _columns(["tensor", "defaults", "defaults, this layer alone", "well chosen",
                      "well chosen, this layer alone"], lines),
            "\n".join(map(_filled, [f"""
- **A narrow cell state** limits the accuracy. The state adds up to 14 over 50 steps, so the lowest
of 8 bits is worth {step:g}, and the accuracy is {_accuracy(known, c8)}. With 10 bits it is
{_accuracy(known, 'w8 a8 cell state of 10 bits')}, with 12 bits
{_accuracy(known, 'w8 a8 cell state of 12 bits')}; the default is 18.""", f"""
- **Large weights** cost a bit. The largest weights in the matrices of the LSTMs are 0.51 to 0.73,
but all except one in a thousand are below 0.45, so a format for the largest spends a bit on few
weights. The rule mse clips them, and the RMSE of reconstruction falls from {_rmse(known, _PLAIN)}
to {_rmse(known, mse)} (float: {_rmse(known, _BASE)}).""", f"""
- **The 8 bits of the output itself**, {rows[_WELL]['formats']['l4_dense y']}, cause
{_added(known, mse, y16):.0%} of the remaining error: with 16 bits the RMSE is {_rmse(known, y16)}.
But then the activations of the engine have 16 bits.""", f"""
- **The table** hardly matters. A table with 12 bits takes three halves of a block RAM where one
with 8 bits takes one half, and changes the RMSE from {_rmse(known, mse)} to
{_rmse(known, _WELL)}."""]))]


def _defaults(known: dict) -> list[str]:
    found, tried = known["elsewhere"], list(next(iter(known["elsewhere"]["lstm-dense"].values())))
    lines = [[f"{name}, {bits} bits", *(f"{errors[title]:.3%}" for title in tried)]
             for name, by_bits in found.items() for bits, errors in by_bits.items()]
    return ["## No rule is the best of all", _filled("""
Settings that help one network need not help another. The table shows output errors (RMS over range)
of the two trained models, where `quantize` has the rule max unless the column says otherwise, and
each weight is rounded by itself. So `gatefold build` measures: below 12 bits it quantises by each
rule, without and with row scales, fitted or not, and takes the least error
([formats.md](formats.md#rules)). `gatefold weights` fits the weights of the next training too,
where those of the core were fitted; where a rule clipped weights, it needs `--saturate`."""),
            _columns(["", *tried], lines)]


def _apart(known: dict) -> list[str]:
    return ["## Weights and activations separately", _table(known, [
        row.key for row in ROWS if row.title.startswith("weights ")
        and row.title.split(",")[-1].startswith(" activations")])]


def _method(known: dict) -> list[str]:
    return ["## What the columns mean", _filled(f"""
**Bits**: w are those of weights, a of activations (input, h, output), c of the cell state, and T
the fractional bits of the tanh table. **Accuracy** is the share of the {known['windows']:,} windows
that are classified correctly; one window is {100 / known['windows']:.2f} points, so a few tenths
mean nothing by themselves. **Of float's** is the accuracy divided by that of float32. **AUC**, the
area under the ROC curve, does not depend on a threshold. **RMSE** is that of reconstructing normal
windows. The threshold of each row is the {known['quantile']:.0%} quantile of the scores that **the
same arithmetic** gives {known['train']} other normal windows; anomalies do not influence it. All
rows except float and *cut* come from the golden model, which the hardware equals bit for bit. Every
row covers all windows.""")]


def _again(known: dict) -> list[str]:
    rows = known["rows"].values()
    seconds, cpu = [row["seconds"] for row in rows], sum(row["cpu_seconds"] for row in rows)
    return ["## Repeat it", """```
make accuracy                                              # writes this page and its plot
.venv/bin/python bench/accuracy/evaluate.py --windows 200  # prints a quick estimate
```""", _filled(f"""
The {len(seconds)} rows took {cpu / 60:.0f} minutes of one core, and {sum(seconds) / 60:.0f} minutes
of time, since other programs used the {known['cores']} cores too (load average {known['load']}).
bench/accuracy/measured.json holds all figures and every format.""")]
