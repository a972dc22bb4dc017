"""Registers and an AXI4 master around the core, so that a processor can use it.

The register map (:mod:`.registers`) is data that imports nothing; the components read it.
"""
