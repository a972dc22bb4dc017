"""Verilog that people can read: Amaranth's netlist with names, docstrings and a header."""
