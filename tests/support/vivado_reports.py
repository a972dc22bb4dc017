"""Reports in Vivado's own layout, with figures of our own.

The layout is that of reports in public repositories: the timing summary of
gussmith23/lakeroad-evaluation (Vivado 2021.2, xczu3eg, "...-timing-summary-route.v"), the
utilisation report of public UltraScale+ projects (Vivado 2022.1 to 2023.2, with the columns Fixed,
Prohibited, Available). Both write the part in a way of their own.
"""

import json

VERSION = "2023.1"
_RULE = "-" * 96


def _head(command: str, design: str, device: str, *more: str, colons: int) -> str:
    lines = [("Tool Version", f"Vivado v.{VERSION} (lin64) Build 3865809 Sun May  7 15:04:56"),
             ("Date", "Thu Nov 30 03:04:54 2023"), ("Host", "lab running 64-bit Ubuntu 22.04"),
             ("Command", command), ("Design", design), ("Device", device),
             *(tuple(line.split("=")) for line in more)]
    body = "".join(f"| {key:<{colons}}: {text}\n" for key, text in lines)
    return ("Copyright 1986-2022 Xilinx, Inc. All Rights Reserved. Copyright 2022-2023 Advanced "
            f"Micro Devices, Inc. All Rights Reserved.\n{'-' * 140}\n{body}{'-' * 140}\n\n")


def timing_summary(wns=0.112, whs=0.018, period=3.333, design="gatefold",
                   device="xczu7ev-ffvc1156") -> str:
    """``report_timing_summary -file``: its head, its tables and the first path."""
    met = wns >= 0 and whs >= 0
    columns = ("    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)"
               "      THS(ns)  THS Failing Endpoints  THS Total Endpoints     WPWS(ns)     TPWS(ns)"
               "  TPWS Failing Endpoints  TPWS Total Endpoints  \n")
    row = (f"{wns:11.3f}{min(0, 90 * wns):13.3f}{90 * (wns < 0):23d}{61234:21d}{whs:13.3f}"
           f"{min(0, whs):13.3f}{whs < 0:23d}{61234:21d}{1.124:13.3f}{0:13.3f}{0:24d}{30611:22d}"
           "  \n")
    verdict = ("All user specified timing constraints are met.\n" if met else
               "Timing constraints are not met.\n")
    frequency = f"{1000 / period:.3f}"
    return (
        _head("report_timing_summary -max_paths 10 -report_unconstrained -file "
              "reports/timing_summary.rpt", design, device,
              "Speed File=-2  PRODUCTION 1.30 05-15-2022", "Temperature Grade=E", colons=18)
        + "Timing Summary Report\n\n"
        + _section("Timer Settings") + "  Enable Multi Corner Analysis               :  Yes\n\n"
        + "check_timing report\n\nTable of Contents\n-----------------\n"
          "1. checking no_clock (0)\n\n"
        + _section("Design Timing Summary") + columns
        + "    -------      -------  ---------------------  -------------------      -------      "
          "-------  ---------------------  -------------------     --------     --------  "
          "----------------------  --------------------  \n" + row + "\n\n" + verdict + "\n\n"
        + _section("Clock Summary")
        + "Clock  Waveform(ns)         Period(ns)      Frequency(MHz)\n"
          "-----  ------------         ----------      --------------\n"
        + f"clk    {{0.000 {period / 2:.3f}}}        {period:.3f}           {frequency}         \n"
          "\n\n"
        + _section("Intra Clock Table")
        + "Clock             WNS(ns)      TNS(ns)  TNS Failing Endpoints\n"
          "-----             -------      -------  ---------------------\n"
        + f"clk           {wns:11.3f}        0.000                      0\n\n"
        + _section("Timing Details")
        + f"Slack ({'MET' if wns >= 0 else 'VIOLATED'}) :    {wns:.3f}ns  (required time - arrival "
          "time)\n  Source:                 core/array/region_00/relay_operands/held_reg[0]/C\n")


def _section(title: str) -> str:
    return f"{_RULE}\n| {title}\n| {'-' * len(title)}\n{_RULE}\n\n"


def utilization(lut=91234, ff=120345, bram=211.5, uram=0, dsp=1632, state="Routed",
                design="gatefold", device="xczu7ev-ffvc1156-2-e") -> str:
    """``report_utilization -file`` on an UltraScale+ device."""
    def table(head: str, *rows: tuple) -> str:
        rule = "+----------------------------+--------+-------+------------+-----------+-------+\n"
        lines = "".join(f"| {name:<26} | {used:>6} | {fixed:>5} | {0:>10} | {there:>9} | 12.34 |\n"
                        for name, used, fixed, there in rows)
        return (f"{head}\n{'-' * len(head)}\n\n{rule}|          Site Type         |  Used  | Fixed "
                f"| Prohibited | Available | Util% |\n{rule}{lines}{rule}\n")

    return (
        _head("report_utilization -file reports/utilization.rpt", design, device, "Speed File=-2",
              f"Design State={state}", colons=13)
        + "Utilization Design Information\n\nTable of Contents\n-----------------\n"
          "1. CLB Logic\n\n"
        + table("1. CLB Logic", ("CLB LUTs", lut, 0, 230400),
                ("  LUT as Logic", lut - 99, 0, 230400), ("  LUT as Memory", 99, 0, 101760),
                ("CLB Registers", ff, 0, 460800),
                ("  Register as Flip Flop", ff, 0, 460800), ("CARRY8", 9876, 0, 28800))
        + table("3. BLOCKRAM", ("Block RAM Tile", bram, 0, 312), ("  RAMB36/FIFO*", 200, 0, 312),
                ("    RAMB36E2 only", 200, "", ""), ("URAM", uram, 0, 96))
        + table("4. ARITHMETIC", ("DSPs", dsp, 0, 1728), ("  DSP48E2 only", dsp, "", "")))


def summary(**changes) -> str:
    """``summary.json`` as synth.tcl writes it."""
    return json.dumps({
        "tool": f"Vivado {VERSION}", "mode": "out_of_context", "state": "routed",
        "board": "zcu104", "dies": 1, "top": "gatefold", "part": "xczu7ev-ffvc1156-2-e",
        "clock_mhz": 300, "period_ns": 3.333, "wns_ns": 0.112, "whs_ns": 0.018, "fmax_mhz": 310.5,
        "timing_met": True, "worst_path": None, "lut": 91234, "ff": 120345, "lutram_lut": 99,
        "bram36": 211.5, "uram": 0, "dsp": 1632} | changes)
