"""Amaranth components of the engine, one a file.

They read a plan's :class:`EngineConfig` and decide nothing: no model format, no board and no float
is known here.
"""
