"""The boards' data, boards found by name or file, and files that describe no board."""

import dataclasses
import json
import os

import pytest

from gatefold.boards import BOARDS, Board, get
from gatefold.boards.board import Counts
from gatefold.gen.errors import UserError
from tests.support.places import ROOT

#: Each device's figures in the design documents; kept here so that a clone alone can be tested.
EXPECTED = {
    "zcu104": dict(part="xczu7ev-ffvc1156-2-e", lut=230400, ff=460800, lutram_lut=101760,
                   bram36=312, uram=96, dsp=1728, stream_bits=128, max_multipliers=1536,
                   clock_mhz=300, family="zynq-ultrascale+", vivado_last=None),
    "zcu102": dict(part="xczu9eg-ffvb1156-2-e", lut=274080, ff=548160, lutram_lut=144000,
                   bram36=912, uram=0, dsp=2520, family="zynq-ultrascale+"),
    "kv260": dict(part="xck26-sfvc784-2LV-c", lut=117120, ff=234240, lutram_lut=57600,
                  bram36=144, uram=64, dsp=1248, family="zynq-ultrascale+"),
    "u280": dict(part="xcu280-fsvh2892-2L-e", lut=1303680, ff=2607360, lutram_lut=600960,
                 bram36=2016, uram=960, dsp=9024, stream_bits=512, max_multipliers=8192,
                 clock_mhz=300, family="virtex-ultrascale+", vivado_last="2023.1"),
    "u55c": dict(part="xcu55c-fsvh2892-2L-e", lut=1303680, ff=2607360, lutram_lut=600960,
                 bram36=2016, uram=960, dsp=9024, family="virtex-ultrascale+", vivado_last=None),
    "u50": dict(part="xcu50-fsvh2104-2L-e", lut=871680, ff=1743360, lutram_lut=403200,
                bram36=1344, uram=640, dsp=5952, family="virtex-ultrascale+"),
}

#: What the shell takes of all dies: (LUTs, registers, block RAMs, UltraRAMs, DSP slices).
SHELLS = {"zcu104": (0, 0, 0, 0, 0), "zcu102": (0, 0, 0, 0, 0), "kv260": (0, 0, 0, 0, 0),
          "u280": (107629, 136086, 195.5, 0, 528), "u55c": (157440, 314880, 240, 0, 648),
          "u50": (112760, 142875, 179.5, 32, 600)}

DESIGN = ROOT.parent / "shared" / "design" / "workloads.json"
ZCU104 = (ROOT / "boards/zcu104.toml").read_text()
U280 = (ROOT / "boards/u280.toml").read_text()


@pytest.mark.parametrize("name", EXPECTED)
def test_data(name):
    board = get(name)
    assert {key: getattr(board, key) for key in EXPECTED[name]} == EXPECTED[name]
    assert board.name == name and board.title and board.source
    assert board.clock_period_ns == pytest.approx(1000 / board.clock_mhz)


def test_registry_holds_exactly_these():
    assert list(BOARDS) == list(EXPECTED)
    assert all(isinstance(board, Board) for board in BOARDS.values())
    assert {path.stem for path in (ROOT / "boards").glob("*.toml")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_number_in_a_file_has_its_source(name):
    text = (ROOT / f"boards/{name}.toml").read_text()
    assert text.startswith("# ") and "DS" in text.splitlines()[0]
    assert "ssumed" in text  # where there is none, the file says so
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("name", EXPECTED)
def test_dies_add_up_and_keep_what_the_shell_leaves(name):
    board = get(name)
    names = [field.name for field in dataclasses.fields(Counts)]
    assert tuple(sum(getattr(die.shell, one) for die in board.dies) for one in names) == \
        SHELLS[name]
    for one in names:
        assert sum(getattr(die, one) for die in board.dies) == getattr(board, one)
        assert sum(getattr(die.free, one) + getattr(die.shell, one) for die in board.dies) == \
            getattr(board, one)


@pytest.mark.parametrize(("name", "dies", "first"), [
    ("zcu104", 1, 0), ("u50", 1, 1), ("u50", 2, 0),
    ("u280", 1, 1),  # SLR0 has fewer DSP slices; SLR1 and SLR2 have as many, SLR1 more LUTs
    ("u280", 2, 1), ("u280", 3, 0), ("u55c", 1, 2)])
def test_a_core_takes_the_dies_with_the_most_room(name, dies, first):
    assert get(name).window(dies) == first


@pytest.mark.skipif(not DESIGN.exists(), reason="the design documents are not beside this checkout")
@pytest.mark.parametrize("name", ["zcu104", "u280"])
def test_data_agree_with_the_design_documents(name):
    device = json.loads(DESIGN.read_text())["devices"][name]
    common = device.keys() & {field.name for field in dataclasses.fields(Board)}
    assert common >= {"part", "lut", "ff", "lutram_lut", "bram36", "uram", "dsp"}
    assert {key: getattr(get(name), key) for key in common} == {key: device[key] for key in common}


@pytest.mark.parametrize("name", ["vcu118", "ZCU104", "", "a\nb", "../zcu104", None, ["u280"]])
def test_unknown_board_is_refused_in_one_line(name):
    with pytest.raises(UserError, match="board must be one of zcu104, zcu102, kv260, u280, u55c, "
                       "u50 or a file like my.toml, not ") as refusal:
        get(name)
    assert "\n" not in str(refusal.value)


def test_a_board_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        get("zcu104").lut = 1  # type: ignore[misc]


# ---- files of users ----------------------------------------------------------------------------


def written(tmp_path, text, *changes):
    """The path of a board file: ``text`` as the user's own, with (old, new) replaced in it."""
    for old, new in (('name = "', 'name = "my_'), *changes):
        assert old in text, f"{old!r} is not in the file any more"
        text = text.replace(old, new, 1)
    (tmp_path / "my.toml").write_text(text)
    return str(tmp_path / "my.toml")


@pytest.mark.parametrize("text", [ZCU104, U280], ids=["zcu104", "u280"])
def test_a_users_file_describes_a_board_like_ours(tmp_path, text):
    ours = get(text.split('name = "')[1].split('"')[0])
    assert get(written(tmp_path, text)) == dataclasses.replace(ours, name=f"my_{ours.name}")


@pytest.mark.parametrize(("text", "old", "new", "message"), [
    (ZCU104, 'name = "', 'name = "ZCU 104', "name must match"),
    (ZCU104, 'name = "my_zcu104"', 'name = "u280"', "name must differ from zcu104, "),
    (ZCU104, 'title = "AMD', r'title = "AMD \\', "title must be at most 80 letters"),
    (ZCU104, 'title = "AMD', r'title = "AMD\nexec sh', "title must be at most 80 letters"),
    (ZCU104, "xczu7ev-ffvc1156-2-e", "xczu7ev; exec sh", "part must be device-package-speed-grade"),
    (ZCU104, "xczu7ev-ffvc1156-2-e", r"xczu7ev-ffvc1156-2-e\n", "part must be device-package"),
    (ZCU104, "xczu7ev-ffvc1156-2-e", "zcu104", "part must be device-package-speed-grade"),
    (ZCU104, "xczu7ev-ffvc1156-2-e", "xcu280-fsvh2892-2L-e", "part must begin with xczu or xck2 "
     "for the family zynq-ultrascale"),
    (ZCU104, "zynq-ultrascale+", "versal", "family must be one of zynq-ultrascale"),
    (ZCU104, "lut = 230400", "lut = 0", "lut must be a whole number from 1 to 10000000, not 0"),
    (ZCU104, "lut = 230400", "lut = 230408", "the dies' lut must add up to the "
     "device's (230408), not 230400"),
    (ZCU104, "dsp = 1728", "dsp = 1728.0", "dsp must be a whole number from 0 to 10000000, not 17"),
    (ZCU104, "uram = 96", "uram = true", "uram must be a whole number from 0 to 10000000, not Tr"),
    (ZCU104, "uram = 96", f"uram = {10**40}", "uram must be a whole number from 0 to 10000000"),
    (ZCU104, "bram36 = 312", "bram36 = 312.25", "bram36 must be a whole number or half of one"),
    (ZCU104, "lutram_lut = 101760", "lutram_lut = 230401", "lutram_lut must be at most lut"),
    (ZCU104, "multipliers = 1536", "multipliers = 1729", "max_multipliers must be at most the dsp "
     "beside the shell (1728), not 1729"),
    (ZCU104, "stream_bits = 128", "stream_bits = 96", "stream_bits must be a power of two"),
    (ZCU104, "clock_mhz = 300.0", "clock_mhz = 0", "clock_mhz must be from 1 to 1000, not 0"),
    (ZCU104, "clock_mhz = 300.0", "clock_mhz = nan", "clock_mhz must be from 1 to 1000, not nan"),
    (ZCU104, "clock_mhz = 300.0", 'clock_mhz = "fast"', "clock_mhz must be from 1 to 1000, not "),
    (ZCU104, "clock_mhz = 300.0", "delay_scale = 9", "delay_scale must be from 0.5 to 3, not 9"),
    (ZCU104, "source = [", "source = []\nsauce = [", "the file has no key 'sauce': the keys are"),
    (ZCU104, "source = [", "source = [ 1,", "source must name at least one document"),
    (ZCU104, 'family = "zynq-ultrascale+"\n', "", "the file lacks family: the keys are"),
    (ZCU104, "[device]", "[devices]", "[device] must be a table with lut, ff, bram36"),
    (ZCU104, "[[die]]", "[die]", "[[die]] is missing: describe each die in one"),
    (ZCU104, "rows = 6 }", "rows = 6, hight = 2 }", "die 0: clock_regions has no key 'hight'"),
    (ZCU104, "rows = 6 }", "rows = 3 }", "die 0: lut must be at most what 46 columns of clb_pairs "
     "hold in 3 rows of clock regions (132480), not 230400"),
    (ZCU104, "rows = 6 }", "rows = 0 }", "die 0: rows must be a whole number from 1 to 64, not 0"),
    (ZCU104, "shell = { lut = 0", "shell = { lut = 230401", "die 0: the shell's lut must be at "
     "most the die's (230400), not 230401"),
    (ZCU104, "shell = {", "shall = {", "die 0 has no key 'shall'"),
    (ZCU104, "shell = {", "shell = 3 #", "die 0: shell must be a table with lut, ff, bram36"),
    (U280, "bram36 = 53.5", "bram36 = 673", "die 0: the shell's bram36 must be at most the die's "
     "(672), not 673"),
    (U280, "lut = 439680", "lut = 439681", "the dies' lut must add up to the device's (1303680), "
     "not 1303681"),
    (U280, 'vivado_last = "2023.1"', 'vivado_last = "[exit]"', "vivado_last must be a version"),
])
def test_a_contradiction_gets_one_line(tmp_path, text, old, new, message):
    with pytest.raises(UserError) as refusal:
        get(written(tmp_path, text, (old, new)))
    assert message in str(refusal.value) and "'my.toml'" in str(refusal.value)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 420


@pytest.mark.parametrize(("data", "message"), [
    (b"\xff\xfe\x00", "'utf-8' codec can't decode"), (b"name = ", "Invalid value"),
    (b"a=" + b"[" * 20000 + b"]" * 20000, "nested too deeply"), (b"#" * 70000, "at most 64 KiB"),
    (b"", "[[die]] is missing"), (b"die = [3]\n", "[device] must be a table"),
    (b"x = " + b"9" * 5000, "limit")])
def test_a_file_that_is_no_board(tmp_path, data, message):
    (tmp_path / "my.toml").write_bytes(data)
    with pytest.raises(UserError, match="the board file 'my.toml'") as refusal:
        get(str(tmp_path / "my.toml"))
    assert message in str(refusal.value)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    os.mkfifo(tmp_path / "pipe.toml")
    for name, message in (("folder.toml", "directory"), ("pipe.toml", "must be a file"),
                          ("missing.toml", "No such file"), ("a\0.toml", "null")):
        with pytest.raises(UserError, match=message):
            get(str(tmp_path / name))
