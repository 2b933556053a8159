"""The primitives that a cell's equations may use: one row each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Op:
    """A primitive: how tensors compute it, which torch functions mean it, and how it prints.

    `text` and `latex` are templates of the operands; `level` says how tightly an infix operator binds
    (1 comparison, 2 sum, 3 product, 4 sign, 9 a call), so that brackets appear only where they are needed.
    """

    value: Callable[..., Any]
    text: str
    latex: str
    level: int = 9
    means: tuple[Callable[..., Any], ...] = ()

    @property
    def operands(self) -> int:
        return self.text.count("{")


def _call(value: Callable[..., Any], name: str, latex: str, *means: Callable[..., Any]) -> Op:
    return Op(value, f"{name}({{0}})", latex, means=(value, *means))


OPS: Final[dict[str, Op]] = {
    "add": Op(torch.add, "{0} + {1}", "{0} + {1}", 2, (torch.add,)),
    "sub": Op(torch.sub, "{0} - {1}", "{0} - {1}", 2, (torch.sub, torch.subtract)),
    "mul": Op(torch.mul, "{0} * {1}", r"{0} \odot {1}", 3, (torch.mul, torch.multiply)),
    "div": Op(torch.div, "{0} / {1}", r"\frac{{{0}}}{{{1}}}", 3, (torch.div, torch.divide)),
    "neg": Op(torch.neg, "-{0}", "-{0}", 4, (torch.neg, torch.negative)),
    "gt": Op(torch.gt, "{0} > {1}", "{0} > {1}", 1, (torch.gt,)),
    "lt": Op(torch.lt, "{0} < {1}", "{0} < {1}", 1, (torch.lt,)),
    "sigmoid": _call(torch.sigmoid, "sigmoid", r"\sigma\left({0}\right)", F.sigmoid),
    "tanh": _call(torch.tanh, "tanh", r"\tanh\left({0}\right)", F.tanh),
    "exp": _call(torch.exp, "exp", r"\exp\left({0}\right)"),
    "log": _call(torch.log, "log", r"\log\left({0}\right)"),
    "sqrt": _call(torch.sqrt, "sqrt", r"\sqrt{{{0}}}"),
    "relu": _call(torch.relu, "relu", r"\operatorname{{relu}}\left({0}\right)", F.relu),
    "softplus": _call(F.softplus, "softplus", r"\operatorname{{softplus}}\left({0}\right)"),
    "abs": _call(torch.abs, "abs", r"\left|{0}\right|", torch.absolute),
    "minimum": Op(torch.minimum, "minimum({0}, {1})", r"\min\left({0}, {1}\right)", 9, (torch.minimum,)),
    "maximum": Op(torch.maximum, "maximum({0}, {1})", r"\max\left({0}, {1}\right)", 9, (torch.maximum,)),
    "where": Op(
        torch.where,
        "where({0}, {1}, {2})",
        r"\begin{{cases}} {1} & {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
        9,
        (torch.where,),
    ),
}

# What a function of torch means in an equation: the name of its row.
MEANING: Final[dict[Any, str]] = {function: name for name, op in OPS.items() for function in op.means}
