"""The settings of the numbers: widths, formats and rules, for all layers and for single ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gatefold.gen.errors import UserError, quoted
from gatefold.gen.numbers.formats import Rule, as_rule
from gatefold.gen.numbers.qformat import QFormat

__all__ = ["CARRIES", "DEFAULT", "HEADROOM", "TENSORS", "WIDTHS", "Settings", "checked_headroom",
           "checked_width", "group_of"]

WIDTHS = range(4, 19)  #: Legal widths of activations, weights and cell state, in bits.
HEADROOM = range(9)  #: Legal numbers of reserved integer bits.
#: LSTMs that carry remainders: none, those of which the last h alone is read, or every one.
CARRIES = ("none", "last", "every")
DEFAULT = "default"  #: The section whose entries hold for every layer.

_GROUPS = {"x": "activations", "h": "activations", "y": "activations", "c": "cell", "m": "cell",
           "w": "weights", "w_ih": "weights", "w_hh": "weights", "w_p": "weights",
           "w_hr": "weights", "hr": "activations", "g": "table", "n": "table", "tc": "table"}
TENSORS = tuple(_GROUPS)  #: Every tensor whose format can be set.


def group_of(tensor: str) -> str:
    """The kind of a tensor: ``activations``, ``weights``, ``cell`` (a cell or GRU state, and m) or
    ``table`` (the result of an activation of T bits)."""
    return _GROUPS[tensor]


@dataclass(frozen=True)
class Settings:
    """Widths, formats and rules.

    Attributes: ``widths``, bits by group (:func:`group_of`); ``rule`` for values and
    ``weight_rule`` for weights; ``sections``, the settings of single layers by the layer's name (or
    an input's, or :data:`DEFAULT`): by group or tensor a width (int) or a :class:`QFormat`, and
    ``rule``, ``weight_rule``, ``percentile`` and ``row_scales``; ``headroom``, integer bits that
    are reserved in formats of results and states; ``row_scales``, whether rows of matrices have
    scales; ``carry``, of :data:`CARRIES`: the LSTMs whose h takes over the remainder of its last
    rounding.
    """

    widths: Mapping[str, int]
    rule: Rule = field(default_factory=Rule)
    weight_rule: Rule = field(default_factory=Rule)
    sections: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    headroom: int = 0
    row_scales: bool = False
    carry: str = "none"

    def of(self, section: str, tensor: str) -> int | QFormat:
        """The setting of a tensor: its width in bits, or its format."""
        group = group_of(tensor)
        for entries, key in ((self.sections.get(section, {}), tensor),
                             (self.sections.get(section, {}), group),
                             (self.sections.get(DEFAULT, {}), group), (self.widths, group)):
            if key in entries:
                setting = entries[key]
                assert isinstance(setting, (int, QFormat))
                return setting
        raise KeyError(group)

    def rule_of(self, section: str, tensor: str) -> Rule:
        """The rule by which a tensor's format is chosen."""
        key = "weight_rule" if group_of(tensor) == "weights" else "rule"
        rule = self.weight_rule if key == "weight_rule" else self.rule
        name, percent = rule.name, rule.percent
        for entries in (self.sections.get(DEFAULT, {}), self.sections.get(section, {})):
            name, percent = entries.get(key, name), entries.get("percentile", percent)
        return as_rule(name, percent)

    def scales_of(self, section: str) -> bool:
        """Whether the rows of a layer's matrices have scales."""
        for entries in (self.sections.get(section, {}), self.sections.get(DEFAULT, {})):
            if "row_scales" in entries:
                return bool(entries["row_scales"])
        return self.row_scales

    def widest(self, group: str) -> int:
        """Bits of the widest setting of a group's tensors."""
        entries = [self.widths[group]]
        for section in self.sections.values():
            entries += [value if isinstance(value, int) else value.width
                        for key, value in section.items()
                        if (key == group or (key in TENSORS and group_of(key) == group))
                        and isinstance(value, (int, QFormat))]
        return max(entries)

    @property
    def looks(self) -> bool:
        """Whether any rule needs the values of activations, not only their peaks."""
        return any(self.rule_of(section, "y").looks for section in (DEFAULT, *self.sections))

    def fixed(self, section: str, tensor: str, form: QFormat | int) -> Settings:
        """These settings with this format, or width, for one tensor."""
        entries = {**self.sections.get(section, {}), tensor: form}
        return replace(self, sections={**self.sections, section: entries})


def checked_width(name: str, width, default: int) -> int:
    """``width``; raises :class:`UserError` where it is not legal."""
    if isinstance(width, bool) or not isinstance(width, int) or width not in WIDTHS:
        raise UserError(f"the {name} width must be {WIDTHS[0]}..{WIDTHS[-1]} bits, not "
                        f"{quoted(width)[1:-1]}: the default is {default}")
    return width


def checked_headroom(bits) -> int:
    """``bits`` of headroom; raises :class:`UserError` where they are not legal."""
    if isinstance(bits, bool) or not isinstance(bits, int) or bits not in HEADROOM:
        raise UserError(f"the headroom must be {HEADROOM[0]}..{HEADROOM[-1]} bits, not "
                        f"{quoted(bits)[1:-1]}: the default is 0")
    return bits
