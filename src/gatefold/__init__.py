"""Gatefold: trained LSTM networks in, proven FPGA cores out."""

__version__ = "0.1.0"
