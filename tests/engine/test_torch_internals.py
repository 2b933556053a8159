"""The questions to private parts of PyTorch, and that they are asked in one file only."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx

import elman
from elman.engine import torch_internals

PACKAGE = Path(str(elman.__file__)).parent
PRIVATE = re.compile(r"torch\._C\b|forward_ad\._|torch\.ops\.\w+\._|torch\._dynamo|torch\._functorch")


def test_nobody_else_asks() -> None:
    asking = {path.name for path in PACKAGE.rglob("*.py") if PRIVATE.search(path.read_text())}
    assert asking == {"torch_internals.py"}


def test_transforms_are_noticed() -> None:
    x, answers = torch.ones(2, 3), [torch_internals.is_transformed()]
    torch.func.vmap(lambda row: answers.append(torch_internals.is_transformed()) or row)(x)
    with forward_ad.dual_level():
        answers.append(torch_internals.is_transformed())
    assert answers == [False, True, True]


def test_dispatch_modes_are_noticed() -> None:
    answers = [torch_internals.is_dispatched()]
    make_fx(lambda x: answers.append(torch_internals.is_dispatched()) or x + 1)(torch.ones(2))
    assert answers == [False, True]


@pytest.mark.filterwarnings("ignore:`torch.jit.trace` is deprecated", "ignore::DeprecationWarning")
def test_jit_tracing_is_noticed() -> None:
    answers = [torch_internals.is_jit_traced()]

    def function(x: Tensor) -> Tensor:
        answers.append(torch_internals.is_jit_traced())
        return x + 1

    torch.jit.trace(function, torch.ones(2), check_trace=False)
    assert answers == [False, True]


class Asks(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * (2 if torch_internals.is_exporting() else 3)


@pytest.mark.parametrize("strict", [False, True])
def test_exporting_is_not_compiling(strict: bool) -> None:
    torch._dynamo.reset()
    x = torch.ones(2)
    assert torch.compile(Asks(), fullgraph=True, backend="eager")(x).tolist() == [3, 3]
    assert torch.export.export(Asks(), (x,), strict=strict).module()(x).tolist() == [2, 2]


def test_half_precision_is_what_onednn_says() -> None:
    layer, x = nn.LSTM(2, 3), torch.ones(4, 1, 2)
    with torch.autocast("cpu", torch.bfloat16):
        if torch_internals.has_half_lstm(torch.bfloat16):
            assert layer(x)[0].dtype == torch.bfloat16
        else:
            with pytest.raises(RuntimeError):
                layer(x)
    assert isinstance(torch_internals.has_half_lstm(torch.float16), bool)


def test_plain_tensors_are_no_obstacle() -> None:
    class Own(Tensor):
        pass

    x = torch.ones(1)
    assert torch_internals.obstacle(x) == torch_internals.obstacle(nn.Parameter(x)) == ""
    assert torch_internals.obstacle(x.as_subclass(Own)) == "kernels take plain tensors, not Own"


def test_a_constant_is_marked_as_pytorch_does() -> None:
    plain, ours = (lambda: 1), (lambda: 1)
    torch.compiler.assume_constant_result(plain)  # type: ignore[no-untyped-call]
    torch_internals.constant(ours)
    assert vars(ours) == vars(plain) != {}
