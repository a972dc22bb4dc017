"""AMD Alveo U280 data-center card: Virtex UltraScale+ XCU280 with HBM2."""

from gatefold.boards.board import Board

__all__ = ["U280"]

U280 = Board(
    name="u280",
    title="AMD Alveo U280 Data Center Accelerator Card",
    part="xcu280-fsvh2892-2L-e",
    family="virtex-ultrascale+",
    lut=1_303_680,
    ff=2_607_360,
    lutram_lut=600_960,
    bram36=2_016,
    uram=960,
    dsp=9_024,
    stream_bits=512,  # the memory ports of a Vitis kernel
    max_multipliers=8_192,  # 832 DSP slices stay free for the lanes and the shell
    clock_mhz=300.0,
    source=(
        "DS963 Alveo U280 Data Center Accelerator Card Data Sheet",
        "UG1314 Alveo U280 Data Center Accelerator Card User Guide",
    ),
)
