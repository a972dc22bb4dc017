"""Keras 3 operators in a functional model, such as ``x + y``, ``2 * x`` and ``x[:, -1]``."""

from __future__ import annotations

from gatefold.gen.frontends.keras.basic import add, factors, multiply, subtract
from gatefold.gen.frontends.keras.call import Call, Tensor
from gatefold.gen.frontends.keras.settings import shown
from gatefold.gen.network.graph import Slice

__all__ = ["READERS"]


def _operands(call: Call) -> tuple[object, object]:
    if len(call.args) != 2:
        raise call.refuse(f"it must have two operands, not {len(call.args)}")
    return call.args[0], call.args[1]


def _scaled(call: Call, tensor: object, gain: object, offset: object) -> int:
    """gain x + offset for constants."""
    alone = Call(call.builder, call.settings, call.weights, [tensor])
    features = alone.builder.shapes[alone.x][-1]
    return call.builder.scale(alone.x, factors(call, "an operand", gain, features),
                              factors(call, "an operand", offset, features), origin=call.origin)


def _add(call: Call) -> int:
    a, b = _operands(call)
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return add(call)
    return _scaled(call, a, 1, b) if isinstance(a, Tensor) else _scaled(call, b, 1, a)


def _subtract(call: Call) -> int:
    a, b = _operands(call)
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return subtract(call)
    if isinstance(a, Tensor):
        return _scaled(call, a, 1, -factors(call, "an operand", b, _features(call, a)))
    return _scaled(call, b, -1, a)


def _multiply(call: Call) -> int:
    a, b = _operands(call)
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return multiply(call)
    return _scaled(call, a, b, 0) if isinstance(a, Tensor) else _scaled(call, b, a, 0)


def _divide(call: Call) -> int:
    a, b = _operands(call)
    if not isinstance(a, Tensor) or isinstance(b, Tensor):
        raise call.refuse("only a division by a constant is built, since the core has no divider: "
                          "divide on the host")
    divisor = factors(call, "an operand", b, _features(call, a))
    if not divisor.all():
        raise call.refuse("it divides by zero")
    return _scaled(call, a, 1 / divisor, 0)


def _features(call: Call, tensor: Tensor) -> int:
    return call.builder.shapes[tensor.value][-1]


def _item(call: Call) -> int:
    """x[:, ...]: the whole batch, then a slice or an index for each axis."""
    if len(call.args) != 2 or not isinstance(call.args[0], Tensor):
        raise call.refuse("it must have one input and one constant index")
    key = call.args[1] if isinstance(call.args[1], list) else [call.args[1]]
    if not key or key[0] != slice(None):
        raise call.refuse("its index must begin with the whole batch, as in x[:, -1]")
    x, axis = call.args[0].value, call.lead
    for one in key[1:]:
        if type(one) is int:
            x = call.builder.view(x, Slice, axis=axis, start=one, drop=True, origin=call.origin)
        elif isinstance(one, slice):
            if one != slice(None):
                x = call.builder.view(x, Slice, axis=axis, start=_start(one), stop=one.stop,
                                      step=one.step or 1, origin=call.origin)
            axis += 1
        else:
            raise call.refuse(f"an index must be an integer or a slice, not {shown(one)}")
    return x


def _start(one: slice) -> int:
    if one.start is None:
        return 0 if (one.step or 1) > 0 else -1
    return one.start


#: The reader of each operator, which returns its value.
READERS = {"Add": _add, "Subtract": _subtract, "Multiply": _multiply, "Divide": _divide,
           "TrueDivide": _divide, "GetItem": _item}

