"""Functions that are no primitives, as primitives: PyTorch's values and gradients."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import elman
from elman.cells import cell
from elman.engine import trace
from elman.engine.rewrites import REWRITES, power
from elman.engine.trace import METHODS

# An expression of two values, the second of which is above 0.
EXPRESSIONS: dict[str, Callable[[Any, Any], Any]] = {
    **{f"a ** {n}": lambda a, b, n=n: a**n for n in (1, 2, 3, 5, 10, 64, -1, -2, -7)},  # type: ignore[misc]
    **{f"b ** {n}": lambda a, b, n=n: b**n for n in (0.5, 1.5, -0.5, 0.3, -2.7, 65.0)},  # type: ignore[misc]
    "2 ** a": lambda a, b: 2**a,
    "0.25 ** a": lambda a, b: 0.25**a,
    "pow": lambda a, b: torch.pow(a, 3) + a.pow(2) + torch.pow(3.0, a),
    "square": lambda a, b: torch.square(a) * a.square(),
    "reciprocal": lambda a, b: torch.reciprocal(b) + b.reciprocal(),
    "rsqrt": lambda a, b: torch.rsqrt(b) + b.rsqrt(),
    "clamp": lambda a, b: torch.clamp(a, -0.5, 0.75),
    "clamp one way": lambda a, b: a.clamp(max=0.25) + torch.clip(a, min=-0.1) + a.clip(-1),
    "clamp between values": lambda a, b: torch.clamp(a, -b, b * 0.5),
    "gelu": lambda a, b: F.gelu(a) + F.gelu(a, approximate="none") * F.gelu(a, approximate="tanh"),
    "others": lambda a, b: F.silu(a) + F.softsign(a) * torch.special.ndtr(a) - a.sin() * torch.cos(b),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_values_and_gradients_are_pytorchs(name: str, engine: str) -> None:
    """In a cell whose output is the expression of its two inputs."""
    expression = EXPRESSIONS[name]

    @cell(gates="a b", state="h")
    def Of(x: Any) -> Any:
        return expression(x.a, x.b)

    layer = elman.Recurrent(Of, 2, 1, bias=False, dtype=torch.float64, engine=engine)  # type: ignore[arg-type]
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.eye(2))
    x = torch.rand(40, 3, 2, dtype=torch.float64) * 3 + 0.1
    x[..., 0] -= 1.5
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    output, _ = layer(ours)
    expected = expression(theirs[..., :1], theirs[..., 1:])
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)
    output.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-11, atol=1e-12)


def test_listings_say_what_is_computed() -> None:
    @cell(gates="a", state="h")
    def Powers(x: Any, s: Any) -> Any:
        return x.a**3 + 1 / s.h**0.5 + 2**x.a + torch.clamp(s.h, -1, 1)

    assert str(trace(Powers)).splitlines()[1] == (
        "  h = x.a * (x.a * x.a) + 1 / sqrt(s.h) + exp(x.a * 0.6931471805599453) "
        "+ clamp_max(clamp_min(s.h, -1), 1)"
    )


def test_a_power_takes_few_products() -> None:
    @cell(gates="a", state="h")
    def Powers(x: Any) -> Any:
        return x.a**64

    assert sum(node.op == "mul" for node in trace(Powers).nodes) == 6


def test_methods_are_the_functions() -> None:
    assert all(METHODS[function.__name__] is function for function in REWRITES)
    for name in METHODS:
        assert hasattr(torch.Tensor, name)
    assert power(torch.tensor(3.0), 2) == 9
