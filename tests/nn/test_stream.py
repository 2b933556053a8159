"""A stream of a layer takes the steps that `step` takes, in memory of its own."""

import copy
import pickle
import threading
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import elman
from compare import assert_equal, tensors
from elman.cells import CELLS
from elman.engine.cpu.casts import CastStepped
from elman.engine.cpu.stepped import Stepped
from elman.errors import UsageError


def by_step(layer: elman.Recurrent, x: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
    outputs = []
    with torch.no_grad():
        for x_t in x:
            y, state = layer.step(x_t, state)
            outputs.append(y)
    return torch.stack(outputs), state


@given(st.sampled_from(sorted(CELLS)), st.integers(1, 2), st.integers(1, 4), st.integers(1, 40), st.data())
def test_any_stream_is_the_steps(
    kind: str, layers: int, batch: int, hidden: int, data: st.DataObject
) -> None:
    options = {
        "bias": data.draw(st.booleans()),
        "layer_norm": data.draw(st.booleans()),
        "int8": data.draw(st.booleans()),
        "dtype": data.draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16])),
    }
    layer = elman.Recurrent(kind, 3, hidden, layers, **options).eval()
    x = torch.randn(5, batch, 3, dtype=options["dtype"])
    expected, final = by_step(layer, x)
    stream = layer.stream(batch)
    assert isinstance(stream._steps, Stepped | CastStepped)
    assert_equal(torch.stack([stream.push(x_t).clone() for x_t in x]), expected)
    assert_equal(stream.state, final)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize(
    "options",
    [{"engine": "eager"}, {"proj_size": 4}, {"dtype": torch.bfloat16, "zoneout": 0.3}, {"zoneout": 0.3}],
    ids=lambda options: next(iter(options)),
)
def test_what_a_kernel_alone_cannot_do_streams_too(options: dict[str, Any]) -> None:
    layer = elman.LSTM(3, 8, 2, **options).eval()
    x = torch.randn(4, 1, 3).to(layer.weight_ih_l0.dtype)
    expected, final = by_step(layer, x)
    stream = layer.stream()
    assert_equal(torch.stack([stream.push(x_t[0]).clone() for x_t in x]), expected[:, 0])
    assert_equal(stream.state, final)


def test_arrays_and_tensors_in_either_shape() -> None:
    layer = elman.GRU(3, 8).eval()
    x = torch.randn(4, 3)
    expected = by_step(layer, x.unsqueeze(1))[0][:, 0]
    stream = layer.stream()
    for push in (
        lambda x_t: x_t,
        lambda x_t: x_t[None],
        lambda x_t: x_t.numpy(),
        lambda x_t: x_t[None].numpy(),
    ):
        stream.clear()
        outputs = [push(x_t) for x_t in x]
        outputs = [
            stream.push(x_t).reshape(8).copy()
            if isinstance(x_t, np.ndarray)
            else stream.push(x_t).reshape(8).clone()
            for x_t in outputs
        ]
        assert_equal(torch.stack([torch.as_tensor(y) for y in outputs]), expected)
    assert isinstance(stream.push(np.zeros(3)), np.ndarray)  # float64 is rounded
    assert stream.push(np.zeros(3, np.int64)).dtype == np.float32


def test_the_next_call_overwrites_an_output_and_nothing_reaches_the_state() -> None:
    layer = elman.LSTM(3, 8).eval()
    x = torch.randn(3, 1, 3)
    stream = layer.stream()
    first = stream.push(x[0])
    kept = first.clone()
    first.fill_(9.0)  # the state is elsewhere
    stream.push(x[1])
    assert not torch.equal(first, kept)
    assert_equal(stream.state, by_step(layer, x[:2])[1])


def test_a_state_can_be_kept_and_given_to_another_stream() -> None:
    layer = elman.LSTM(3, 8, 2).eval()
    x = torch.randn(6, 2, 3)
    expected, _ = by_step(layer, x)
    first, second = layer.stream(2), layer.stream(2)
    for x_t in x[:3]:
        first.push(x_t)
    state = pickle.loads(pickle.dumps(first.state))
    second.push(x[5])  # forgotten
    second.state = state
    assert_equal(torch.stack([second.push(x_t).clone() for x_t in x[3:]]), expected[3:])
    second.clear()
    assert_equal(second.push(x[0]), expected[0])


def test_it_keeps_the_weights_it_began_with() -> None:
    layer = elman.GRU(3, 8).eval()
    x = torch.randn(2, 1, 3)
    expected, _ = by_step(layer, x)
    stream = layer.stream()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    assert_equal(torch.stack([stream.push(x_t).clone() for x_t in x]), expected)


def test_gradients_and_other_numbers_of_threads() -> None:
    layer = elman.LSTM(64, 256).eval()  # of a size that several threads share
    x = torch.randn(4, 64, 64)
    expected, _ = by_step(layer, x)
    before, stream = torch.get_num_threads(), layer.stream(64)
    outputs = []
    try:
        for threads, x_t in zip((1, 2, 2, 1), x, strict=True):
            torch.set_num_threads(threads)
            outputs.append(stream.push(x_t.requires_grad_()).clone())
    finally:
        torch.set_num_threads(before)
    assert_equal(torch.stack(outputs), expected)
    assert not outputs[0].requires_grad


@pytest.mark.parametrize("engine", ["auto", "eager"])
def test_a_stream_is_the_same_wherever_it_is_made(engine: Any) -> None:
    layer, x = elman.LSTM(3, 8, engine=engine).eval(), torch.randn(2, 1, 3)
    expected, final = by_step(layer, x)
    with torch.inference_mode():
        stream = layer.stream()
        stream.push(x[0])
    with torch.autocast("cpu", torch.bfloat16):
        other = layer.stream()
        other.push(x[0])
    for one in (stream, other):
        assert_equal(one.push(x[1]), expected[1])
        assert_equal(one.state, final)


def test_what_fails_in_the_step_is_not_laid_to_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = elman.LSTM(3, 8).eval().stream()
    monkeypatch.setattr(stream._steps, "run", lambda: (_ for _ in ()).throw(RuntimeError("no memory")))
    with pytest.raises(RuntimeError, match="no memory"):
        stream.push(torch.ones(3))


def test_threads_take_turns() -> None:
    layer = elman.LSTM(3, 8).eval()
    stream = layer.stream()
    x = torch.ones(1, 3)
    threads = [threading.Thread(target=lambda: [stream.push(x) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_equal(stream.state, by_step(layer, x.expand(200, 1, 3))[1])


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(2, 3),
        torch.zeros(4),
        np.zeros((1, 4)),
        [0.0, 0.0, 0.0],
        None,
        torch.zeros(1, 3, device="meta"),
        np.zeros(3, complex),
        torch.zeros(3, dtype=torch.complex64),
        np.array(["a", "b", "c"]),
        torch.zeros(1, 3).to_sparse(),
    ],
    ids=lambda x: f"{type(x).__name__} {getattr(x, 'dtype', '')} {tuple(getattr(x, 'shape', ()))}",
)
def test_other_inputs_are_refused_and_change_nothing(x: Any) -> None:
    stream = elman.LSTM(3, 8).eval().stream()
    stream.push(torch.ones(3))
    state = stream.state
    with pytest.raises(
        UsageError, match=r"push takes a tensor or an array of torch.float32 \(1, 3\) or \(3,\)"
    ):
        stream.push(x)
    assert_equal(stream.state, state)


def test_other_mistakes_are_sentences() -> None:
    layer = elman.LSTM(3, 8).eval()
    for batch in (0, -1, 1.5, "2", True, 10**15):
        with pytest.raises(UsageError, match="batch must be a whole number from 1"):
            layer.stream(batch)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="bidirectional"):
        elman.LSTM(3, 8, bidirectional=True).stream()
    stream = layer.stream()
    with pytest.raises(UsageError, match=r"state h must be \(1, 1, 8\), not \(1, 2, 8\)"):
        stream.state = layer.stream(2).state
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(UsageError, match="save its state"):
            way(stream)
    assert len(tensors(stream.state)) == 2
