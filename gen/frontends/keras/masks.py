"""Masks of a functional model that is cut, which are true everywhere: the host lets in whole
sequences alone.

Keras 3 saves the mask that an Embedding or a Masking layer makes as operators (NotEqual, Any), and
gives it to the layers behind by the keyword ``mask``. Where values are joined, operators join their
masks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gatefold.gen.frontends.keras.arguments import Reference, arguments_of, references
from gatefold.gen.frontends.keras.settings import Settings

__all__ = ["MASKING", "true_masks"]

#: Layers that make a mask.
MASKING = ("Embedding", "Masking")
#: Operators whose result is true where all that they read is, and where anything of it is.
_OF_ALL, _OF_ANY = ("All", "Any", "Concatenate", "ExpandDims", "LogicalAnd"), ("LogicalOr",)


def true_masks(layers: Sequence[dict], keras: int) -> frozenset[Reference]:
    """The results of operators that are true for every timestep that the host lets in.

    ``layers``, entries of a model's layers; ``keras``, the major version that wrote them. Raises
    :class:`UserError` for uses that are damaged.
    """
    def uses(kind: str) -> Iterator[tuple[dict, Reference, list]]:
        for entry in layers:
            nodes = entry.get("inbound_nodes")
            if entry.get("class_name") == kind and isinstance(nodes, list):
                settings = Settings(entry, keras, any_type=True)
                for place, node in enumerate(nodes):
                    made = Reference(str(entry.get("name")), place, 0)
                    yield entry["config"], made, arguments_of(settings, node)

    def unequal_to(masked: list[tuple[object, object]]) -> set[Reference]:
        return {made for _, made, args in uses("NotEqual")
                if len(args) == 2 and any(
                    isinstance(one, Reference) and args[0] == one and type(args[1]) in (int, float)
                    and args[1] == value for one, value in masked)}

    tokens = unequal_to([(args[0], 0) for config, _, args in uses("Embedding")
                         if config.get("mask_zero")])
    # Of a timestep that the host lets in, some feature differs from the value, but not every one.
    features = unequal_to([(args[0], config.get("mask_value", 0))
                           for config, _, args in uses("Masking")])
    found = tokens | {made for config, made, args in uses("Any")
                      if isinstance(args[0], Reference) and args[0] in features
                      and config.get("axis") in (-1, [-1])}
    found |= {made for _, made, _ in uses("OnesLike")}
    joined = [(made, [*references(args)], enough) for kinds, enough in ((_OF_ALL, all),
                                                                         (_OF_ANY, any))
              for kind in kinds for _, made, args in uses(kind)]
    while more := {made for made, read, enough in joined
                   if made not in found and enough(one in found for one in read)}:
        found |= more
    return frozenset(found)
