"""Prepared calls give the same bits as calls with gradients."""

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compare import assert_equal, tensors
from prepared_calls import KINDS, B, I, T, as_prepared, layer_of, state_of


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one", "two"])
@pytest.mark.parametrize("kind", KINDS)
def test_calls_without_gradients_are_those_with(
    kind: str, bidirectional: bool, layers: int, dtype: torch.dtype
) -> None:
    for more in ({}, {"bias": False}, {"layer_norm": True}):
        layer = layer_of(kind, layers, bidirectional=bidirectional, **more, dtype=dtype)
        x = torch.randn(T, B, I, dtype=dtype)
        for hx in (None, state_of(layer)):
            for _ in range(2):
                assert_equal(as_prepared(layer, x, hx), layer(x, hx))
        layer.batch_first = True
        swapped = x.transpose(0, 1)
        for x_b in (swapped, swapped.contiguous()):
            assert_equal(as_prepared(layer, x_b), layer(x_b))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_the_scan(kind: str, layers: int) -> None:
    layer, x = layer_of(kind, layers, layer_norm=layers == 2), torch.randn(T, B, I)
    for start in (None, state_of(layer)):
        state, outputs, states = start, [], []
        with torch.no_grad():
            for x_t in x:
                y, state = layer.step(x_t, state)
                outputs.append(y)
                states.append(state)
        assert len(layer._calls) == 1 and None not in layer._calls.values()
        output, final, every = layer(x, start, return_states=True)
        assert_equal([torch.stack(outputs), state], [output, final])
        assert_equal([torch.stack(s) for s in zip(*map(tensors, states), strict=True)], every)
        layer._calls.clear()


def test_earlier_results_are_left_alone() -> None:
    """A call owns what it returns, and reads its state without changing it."""
    layer, x = layer_of(), torch.randn(T, B, I)
    hx = state_of(layer)
    results = [as_prepared(layer, x, hx)]
    with torch.no_grad():
        results.append(layer.step(x[0], hx))
    kept = [[t.clone() for t in tensors(r)] for r in (*results, hx)]
    for _ in range(3):
        as_prepared(layer, torch.randn(T, B, I), results[0][1])
        with torch.no_grad():
            layer.step(x[1], results[1][1])
    for before, after in zip(kept, (*results, hx), strict=True):
        assert_equal(after, before)
    with torch.no_grad():
        for t in tensors(results[0]):
            t.zero_()
    assert_equal(as_prepared(layer, x, hx), [kept[0][0], *kept[0][1:]])


def test_two_python_threads_on_one_layer() -> None:
    layer = layer_of(layers=2)
    inputs = [torch.randn(T, B, I) for _ in range(4)]
    expected = [tensors(layer(x)) for x in inputs]
    wrong: list[int] = []

    def work(k: int) -> None:
        with torch.no_grad():
            for _ in range(50):
                state, outputs = None, []
                for x_t in inputs[k]:
                    y, state = layer.step(x_t, state)
                    outputs.append(y)
                for found in ([torch.stack(outputs), *tensors(state)], tensors(layer(inputs[k]))):
                    same = (torch.equal(a, b) for a, b in zip(found, expected[k], strict=True))
                    wrong.extend([k] * (not all(same)))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


CALLS = st.lists(
    st.tuples(
        st.sampled_from(["step", "scan", "change"]), st.integers(1, 3), st.integers(1, 3), st.booleans()
    ),
    min_size=2,
    max_size=12,
)


@settings(max_examples=40)
@given(st.sampled_from(list(KINDS)), st.integers(1, 2), st.booleans(), CALLS)
def test_any_calls_in_any_order_are_those_with_gradients(
    kind: str, layers: int, layer_norm: bool, calls: list[tuple[str, int, int, bool]]
) -> None:
    layer = layer_of(kind, layers, layer_norm=layer_norm)
    for what, steps, batch, begun in calls:
        state = state_of(layer, batch) if begun else None
        x = torch.randn(steps, batch, I)
        if what == "change":
            with torch.no_grad():
                layer.weight_hh_l0.mul_(1.1)
        elif what == "scan":
            assert_equal(as_prepared(layer, x, state), layer(x, state))
        else:
            with torch.no_grad():
                output, final = layer.step(x[0], state)
            expected = layer(x[:1], state)
            assert_equal([output, final], [expected[0][0], expected[1]])


def test_the_output_of_a_step_is_its_own() -> None:
    layer = layer_of("gru")
    with torch.no_grad():
        y, state = layer.step(torch.randn(B, I))
        kept = state.clone()
        y.zero_()
    assert_equal(state, kept)
