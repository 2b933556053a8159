"""Prepared calls of the operator: the bits of other calls, and nothing that they can't do."""

import gc
from typing import Any

import pytest
import torch
from torch import Tensor

from compare import assert_equal
from elman.engine import passes
from elman.engine.call import Arguments, Spec
from elman.engine.cpu import graph_calls
from elman.engine.recent import MAX_SHAPES
from prepared_calls import KINDS, B, H, I, T, layer_of


def request(kind: str = "lstm", dtype: torch.dtype = torch.float32, **spec: Any) -> Any:
    layer = layer_of(kind, dtype=dtype, layer_norm=kind == "gru")
    (weights,) = layer.stack().weights
    state = tuple(torch.rand(B, H, dtype=dtype) for _ in layer.cell.state)
    return Spec(layer.cell, H, **spec), Arguments(torch.randn(T, B, I, dtype=dtype), state, weights)


def expected(spec: Spec, arguments: Arguments[Tensor]) -> Any:
    result, _ = passes.forward(spec, arguments, keep=False)
    return result.output, result.state


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_they_have_the_bits_of_other_calls(kind: str, reverse: bool, dtype: torch.dtype) -> None:
    spec, arguments = request(kind, dtype, reverse=reverse)
    for x in (arguments.x, arguments.x[1:], arguments.x.transpose(0, 1), arguments.x):
        batch = x.shape[1]
        state = tuple(torch.rand(batch, H, dtype=dtype) for _ in arguments.state)
        one = arguments._replace(x=x, state=state)
        with torch.no_grad():
            assert_equal(graph_calls.run(spec, one), expected(spec, one))


def test_every_change_of_a_weight_is_seen() -> None:
    spec, arguments = request()
    for weight in arguments.weights[:4]:
        with torch.no_grad():
            before = graph_calls.run(spec, arguments)
            weight.data.view(-1)[-1] += 3
            assert_equal(graph_calls.run(spec, arguments), expected(spec, arguments))
            weight.mul_(2)
            after = graph_calls.run(spec, arguments)
        assert_equal(after, expected(spec, arguments))
        assert before is not None and after is not None and not torch.equal(before[0], after[0])


def test_options_of_one_layer_stay_apart() -> None:
    spec, arguments = request()
    for other in (spec, spec._replace(int8=True), spec._replace(reverse=True), spec):
        with torch.no_grad():
            assert_equal(graph_calls.run(other, arguments), expected(other, arguments))


def test_what_they_cannot_do_is_left_alone() -> None:
    spec, arguments = request()
    x, (h, c) = arguments.x, arguments.state
    others: list[Any] = [
        (spec, arguments._replace(lengths=torch.tensor([1, 2, 3]))),
        (spec, arguments._replace(clear=torch.zeros(T, B, dtype=torch.bool))),
        (spec, arguments._replace(mask=torch.ones(B, H))),
        (spec._replace(every_state=True), arguments),
        (spec._replace(shares=(0.5, 0.5)), arguments),
        (spec._replace(hidden=H // 2), arguments),
        (spec, arguments._replace(x=x[0])),
        (spec, arguments._replace(x=x[:0])),
        (spec, arguments._replace(x=x.mT.contiguous().mT)),
        (spec, arguments._replace(x=x.double())),
        (spec, arguments._replace(state=(h, c[:, :-1]))),
        (spec, arguments._replace(state=(h, c.double()))),
        (spec, arguments._replace(weights=arguments.weights._replace(bias_ih=torch.zeros(4 * H).double()))),
    ]
    for other in others:
        with torch.no_grad():
            assert graph_calls.run(*other) is None


def test_only_some_shapes_are_kept_and_nothing_for_dead_weights() -> None:
    gc.collect()
    known = len(graph_calls._ENTRIES)
    spec, arguments = request()
    with torch.no_grad():
        for steps in range(1, MAX_SHAPES + 3):
            graph_calls.run(spec, arguments._replace(x=torch.randn(steps, B, I)))
    assert len(graph_calls._ENTRIES[arguments.weights.weight_ih].calls) == MAX_SHAPES
    assert len(graph_calls._ENTRIES) == known + 1
    del arguments
    gc.collect()
    assert len(graph_calls._ENTRIES) == known
