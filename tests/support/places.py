"""Paths: the repository and the tests' own files."""

from pathlib import Path

__all__ = ["FIXTURES", "ROOT"]

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
