"""The primitives that a cell's equations may use: one row each, with all that the engine knows about it.

Only the code for a target is elsewhere, in one table a target, such as `elman.engine.cpu.emit.functions`.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import cos, exp, sigmoid, sin, where


@dataclass(frozen=True)
class Op:
    """A primitive: how tensors compute it, how it prints, its derivative, and which torch functions mean it.

    `text` and `latex` are templates of the operands; `level` says how tightly an infix operator binds
    (1 comparison, 2 sum, 3 product, 4 sign, 9 a call), so that brackets appear only where they are needed.
    `gradient` maps (gradient g, value y, operands) to a gradient for each operand, None where there is none.
    It is written in the arithmetic of the equations, so that the tracer records it like them.
    """

    value: Callable[..., Any]
    text: str
    latex: str
    gradient: Callable[..., tuple[Any, ...]]
    level: int = 9
    aliases: tuple[Callable[..., Any], ...] = ()  # torch functions beside `value`
    cheap: bool = False  # computing it again costs no more than reading it from memory
    method: bool = True  # tensors have a method of this name that means the same
    numbers: bool = True  # an operand may be a plain number

    @property
    def operands(self) -> int:
        return self.text.count("{")

    @property
    def is_comparison(self) -> bool:
        return self.level == 1


def _share(difference: Any, g: Any) -> Any:
    """Return the gradient of a minimum or maximum: equal operands get half each, as in PyTorch."""
    return where(difference > 0, g, where(difference < 0, 0.0, 0.5 * g))


def _density(a: Any) -> Any:
    """Return the density of the normal distribution."""
    return exp(-0.5 * a * a) * (1 / math.sqrt(2 * math.pi))


def _silu_gradient(g: Any, y: Any, s: Any) -> Any:
    return g * (s + y * (1 - s))


def _gelu_tanh_gradient(g: Any, y: Any, a: Any) -> Any:
    """Return the gradient of a * sigmoid(2u), whose u is sqrt(2/pi) * (a + 0.044715 a³)."""
    scale = 2 * math.sqrt(2 / math.pi)
    near = torch.clamp_max(torch.clamp_min(a, -40.0), 40.0)  # beyond it sigmoid is 0 or 1, and its slope 0
    square = near * near
    s = sigmoid(scale * near * (1 + 0.044715 * square))
    return g * (s + near * s * (1 - s) * (scale * (1 + 3 * 0.044715 * square)))


# fmt: off
OPS: Final[dict[str, Op]] = {
    "add": Op(torch.add, "{0} + {1}", "{0} + {1}", level=2, cheap=True,
              gradient=lambda g, y, a, b: (g, g)),
    "sub": Op(torch.sub, "{0} - {1}", "{0} - {1}", level=2, cheap=True, aliases=(torch.subtract,),
              gradient=lambda g, y, a, b: (g, -g)),
    "mul": Op(torch.mul, "{0} * {1}", r"{0} \odot {1}", level=3, cheap=True, aliases=(torch.multiply,),
              gradient=lambda g, y, a, b: (g * b, g * a)),
    "div": Op(torch.div, "{0} / {1}", r"\frac{{{0}}}{{{1}}}", level=3, aliases=(torch.divide,),
              gradient=lambda g, y, a, b: (g / b, -(g * y) / b)),
    "neg": Op(torch.neg, "-{0}", "-{0}", level=4, cheap=True, aliases=(torch.negative,),
              gradient=lambda g, y, a: (-g,)),
    "gt": Op(torch.gt, "{0} > {1}", "{0} > {1}", level=1, cheap=True,
             gradient=lambda g, y, a, b: (None, None)),
    "lt": Op(torch.lt, "{0} < {1}", "{0} < {1}", level=1, cheap=True,
             gradient=lambda g, y, a, b: (None, None)),
    "sigmoid": Op(torch.sigmoid, "sigmoid({0})", r"\sigma\left({0}\right)", aliases=(F.sigmoid,),
                  gradient=lambda g, y, a: (g * (y * (1 - y)),)),
    "tanh": Op(torch.tanh, "tanh({0})", r"\tanh\left({0}\right)", aliases=(F.tanh,),
               gradient=lambda g, y, a: (g * (1 - y * y),)),
    "exp": Op(torch.exp, "exp({0})", r"\exp\left({0}\right)",
              gradient=lambda g, y, a: (g * y,)),
    "log": Op(torch.log, "log({0})", r"\log\left({0}\right)",
              gradient=lambda g, y, a: (g / a,)),
    "sqrt": Op(torch.sqrt, "sqrt({0})", r"\sqrt{{{0}}}",
               gradient=lambda g, y, a: (g / (y + y),)),
    "relu": Op(torch.relu, "relu({0})", r"\operatorname{{relu}}\left({0}\right)", cheap=True,
               aliases=(F.relu,), gradient=lambda g, y, a: (where(y > 0, g, 0.0),)),
    "softplus": Op(F.softplus, "softplus({0})", r"\operatorname{{softplus}}\left({0}\right)", method=False,
                   gradient=lambda g, y, a: (g * sigmoid(a),)),
    "abs": Op(torch.abs, "abs({0})", r"\left|{0}\right|", cheap=True, aliases=(torch.absolute,),
              gradient=lambda g, y, a: (where(a > 0, g, where(a < 0, -g, 0.0)),)),
    "minimum": Op(torch.minimum, "minimum({0}, {1})", r"\min\left({0}, {1}\right)", cheap=True, numbers=False,
                  gradient=lambda g, y, a, b: (_share(b - a, g), _share(a - b, g))),
    "maximum": Op(torch.maximum, "maximum({0}, {1})", r"\max\left({0}, {1}\right)", cheap=True, numbers=False,
                  gradient=lambda g, y, a, b: (_share(a - b, g), _share(b - a, g))),
    # a clamp is both: bounds may be numbers or values
    "clamp_min": Op(torch.clamp_min, "clamp_min({0}, {1})", r"\max\left({0}, {1}\right)", cheap=True,
                    gradient=lambda g, y, a, b: (where(a < b, 0.0, g), where(a < b, g, 0.0))),
    "clamp_max": Op(torch.clamp_max, "clamp_max({0}, {1})", r"\min\left({0}, {1}\right)", cheap=True,
                    gradient=lambda g, y, a, b: (where(a > b, 0.0, g), where(a > b, g, 0.0))),
    "sin": Op(torch.sin, "sin({0})", r"\sin\left({0}\right)",
              gradient=lambda g, y, a: (g * cos(a),)),
    "cos": Op(torch.cos, "cos({0})", r"\cos\left({0}\right)",
              gradient=lambda g, y, a: (-(g * sin(a)),)),
    "silu": Op(F.silu, "silu({0})", r"\operatorname{{silu}}\left({0}\right)", method=False,
               gradient=lambda g, y, a: (_silu_gradient(g, y, sigmoid(a)),)),
    "softsign": Op(F.softsign, "softsign({0})", r"\operatorname{{softsign}}\left({0}\right)", method=False,
                   gradient=lambda g, y, a: (g / ((1 + abs(a)) * (1 + abs(a))),)),
    # the normal distribution function, in which gelu(a) is a * ndtr(a)
    "ndtr": Op(torch.special.ndtr, "ndtr({0})", r"\Phi\left({0}\right)", method=False,
               gradient=lambda g, y, a: (g * _density(a),)),
    "gelu": Op(F.gelu, "gelu({0})", r"\operatorname{{gelu}}\left({0}\right)", method=False,
               gradient=lambda g, y, a: (g * (torch.special.ndtr(a) + a * _density(a)),)),
    "gelu_tanh": Op(functools.partial(F.gelu, approximate="tanh"), "gelu_tanh({0})",
                    r"\operatorname{{gelu}}_{{\tanh}}\left({0}\right)", method=False,
                    gradient=lambda g, y, a: (_gelu_tanh_gradient(g, y, a),)),
    "where": Op(torch.where, "where({0}, {1}, {2})",
                r"\begin{{cases}} {1} & {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
                cheap=True, method=False,
                gradient=lambda g, y, c, a, b: (None, where(c, g, 0.0), where(c, 0.0, g))),
}
# fmt: on

# A function with an option that has a row of its own: its row.
VARIANTS: Final[dict[tuple[Any, str, Any], str]] = {
    (F.gelu, "approximate", "tanh"): "gelu_tanh",
    (F.gelu, "approximate", "none"): "gelu",
}

# What a function of torch means in an equation: the name of its row.
MEANING: Final[dict[Any, str]] = {
    function: name for name, op in OPS.items() for function in (op.value, *op.aliases)
}
