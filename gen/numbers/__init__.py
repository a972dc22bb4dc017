"""Formats and integers, as docs/numbers.md defines them: from a float network to a quantised one.
"""
