"""AMD ZCU104 evaluation kit: Zynq UltraScale+ XCZU7EV."""

from gatefold.boards.board import Board

__all__ = ["ZCU104"]

ZCU104 = Board(
    name="zcu104",
    title="AMD Zynq UltraScale+ MPSoC ZCU104 Evaluation Kit",
    part="xczu7ev-ffvc1156-2-e",
    family="zynq-ultrascale+",
    lut=230_400,
    ff=460_800,
    lutram_lut=101_760,
    bram36=312,
    uram=96,
    dsp=1_728,
    stream_bits=128,  # the widest AXI port between the processing system and the logic
    max_multipliers=1_536,  # 192 DSP slices stay free for the elementwise lanes
    clock_mhz=300.0,
    source=(
        "DS891 Zynq UltraScale+ MPSoC Data Sheet: Overview (XCZU7EV)",
        "UG1267 ZCU104 Evaluation Board User Guide",
    ),
)
