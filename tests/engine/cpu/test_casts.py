"""Half precision by prepared calls, streams and pools: the bits of calls that are not prepared, on processors
that round the operands of products and on others."""

import copy
import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor

import elman
from compare import assert_equal, tensors
from elman.engine import torch_internals
from elman.engine.cpu import host
from elman.engine.cpu.casts import CastPooled, CastPrepared, CastStepped
from grouped_products import in_groups
from prepared_calls import KINDS, B, I, T, layer_of, state_of

HALVES = {"f16": torch.float16, "bf16": torch.bfloat16}


@pytest.fixture(params=[False, True], ids=["plain", "rounding"], autouse=True)
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that rounds the operands of products in bfloat16, and whose LSTM is rounded under autocast; and one
    without instructions for it."""
    if request.param:
        monkeypatch.setattr(host, "packing", in_groups)
    monkeypatch.setattr(torch_internals, "has_half_lstm", lambda dtype: request.param)


def ordinary(layer: elman.Recurrent) -> Any:
    """Return a copy whose calls are not prepared."""
    twin: Any = copy.deepcopy(layer)
    twin._calls.scan = twin._calls.step = lambda *request: None
    return twin


@pytest.fixture(params=["layer in f16", "layer in bf16", "f32 in autocast", "bf16 in autocast", "f16 by f16"])
def how(request: pytest.FixtureRequest) -> Iterator[str]:
    """The precision of a layer, or of its input under autocast."""
    inside: AbstractContextManager[Any] = torch.no_grad()
    if "autocast" in request.param:
        inside = torch.autocast("cpu", torch.bfloat16)
    if "by f16" in request.param:
        inside = torch.autocast("cpu", torch.float16)
    with torch.no_grad(), inside:
        yield request.param


def case(how: str, kind: str, layers: int = 1, **options: Any) -> tuple[elman.Recurrent, Tensor]:
    dtype = HALVES.get(how.split()[-1] if how.startswith("layer") else how.split()[0], torch.float32)
    layer = layer_of(kind, layers, dtype=dtype if how.startswith("layer") else torch.float32, **options)
    return layer, torch.randn(T, B, I).to(dtype)


def was_prepared(layer: elman.Recurrent) -> bool:
    return bool(layer._calls) and None not in layer._calls.values()


@pytest.mark.parametrize("kind", KINDS)
def test_sequences(kind: str, how: str) -> None:
    for more in ({}, {"bidirectional": True, "bias": False}, {"layer_norm": True, "batch_first": True}):
        layer, x = case(how, kind, 2, **more)
        general, hx = ordinary(layer), None
        for _ in range(3):  # from no state, from that of the call before, and with other inputs
            result = layer(x, hx)
            assert_equal(result, general(x, hx))
            x, hx = torch.randn_like(x), result[1]
        assert was_prepared(layer)


@pytest.mark.parametrize("kind", KINDS)
def test_single_steps(kind: str, how: str) -> None:
    layer, x = case(how, kind, 2)
    general, state = ordinary(layer), None
    for x_t in x:
        result = layer.step(x_t, state)
        assert_equal(result, general.step(x_t, state))
        assert_equal([result[0]], [layer(x_t[None], state)[0][0]])
        state = result[1]
    assert was_prepared(layer) and len(layer._calls) == 1


def test_states_of_several_types_meet_under_autocast(how: str) -> None:
    layer, x = case(how, "lstm")
    general, (h, c) = ordinary(layer), state_of(layer)
    for hx in ((h.bfloat16(), c.float()), (h.float(), c.half()), (h.double(), c.double())):
        try:
            expected = general(x, hx), general.step(x[0], hx)
        except elman.UsageError as error:
            with pytest.raises(elman.UsageError, match=re.escape(str(error))):
                layer(x, hx)
            with pytest.raises(elman.UsageError, match=re.escape(str(error))):
                layer.step(x[0], hx)
        else:
            assert_equal((layer(x, hx), layer.step(x[0], hx)), expected)


def test_results_are_their_own(how: str) -> None:
    layer, x = case(how, "lstm")
    hx = tuple(s.to(x.dtype) for s in state_of(layer))
    for call in (lambda x, hx: layer(x, hx), lambda x, hx: layer.step(x[0], hx)):
        first = call(x, hx)
        kept = [t.clone() for t in (*tensors(first), *hx)]
        for t in tensors(call(torch.randn_like(x), first[1])):
            t.zero_()
        assert_equal([*tensors(first), *hx], kept)


def test_changed_weights_are_seen(how: str) -> None:
    """A single number of any weight: in a sequence however it is changed, in a step if that is counted."""
    for layers in (1, 2):
        layer, x = case(how, "gru", layers)
        for name, parameter in layer.named_parameters():
            before = layer(x), layer.step(x[0])
            parameter.data.view(-1)[-1] += 3
            assert_equal(layer(x), ordinary(layer)(x), name)
            with torch.no_grad():
                parameter.view(-1)[0] -= 3
            after = layer(x), layer.step(x[0])
            assert_equal(after, (ordinary(layer)(x), ordinary(layer).step(x[0])), name)
            if "hh" not in name or "weight" not in name:  # the first step reads no h
                assert not torch.equal(after[1][0], before[1][0]), name
            assert not torch.equal(after[0][0], before[0][0]), name


def test_precision_may_change_between_calls() -> None:
    layer, x = layer_of(), torch.randn(T, B, I)
    for dtype in (torch.float32, torch.bfloat16, torch.float64, torch.float16, torch.float32):
        for cast in (None, torch.bfloat16, torch.float16, None):
            with torch.no_grad(), torch.autocast("cpu", cast or torch.bfloat16, enabled=cast is not None):
                layer = layer.to(dtype)
                assert_equal(layer(x.to(dtype)), ordinary(layer)(x.to(dtype)))
    assert was_prepared(layer)


def test_inference_mode_and_no_grad_share_a_call() -> None:
    layer, x = layer_of(dtype=torch.bfloat16), torch.randn(T, B, I).bfloat16()
    state = tuple(s.bfloat16() for s in state_of(layer))
    expected = ordinary(layer)(x, state), ordinary(layer).step(x[0], state)
    for mode in (torch.inference_mode, torch.no_grad, torch.inference_mode):
        with mode():
            assert_equal((layer(x, state), layer.step(x[0], state)), expected)
    assert was_prepared(layer)


def test_threads_share_a_layer() -> None:
    layer = layer_of(layers=2, dtype=torch.bfloat16)
    inputs = [torch.randn(T, B, I).bfloat16() for _ in range(3)]
    with torch.no_grad():
        expected = [ordinary(layer)(x)[0] for x in inputs]
    wrong: list[int] = []

    def work(k: int) -> None:
        with torch.no_grad():
            for _ in range(40):
                if not torch.equal(layer(inputs[k])[0], expected[k]):
                    wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("dtype", HALVES.values(), ids=HALVES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hidden", [32, 37])
def test_streams_and_pools_take_the_steps(kind: str, hidden: int, dtype: torch.dtype) -> None:
    layer = elman.Recurrent(KINDS[kind], I, hidden, 2, layer_norm=hidden == 37, dtype=dtype)
    general, x = ordinary(layer), torch.randn(T, B, I).to(dtype)
    stream, pool = layer.stream(B), layer.pool(B + 2)
    assert type(stream._steps) is CastStepped and type(pool._pooled) is CastPooled
    slots = [pool.open() for _ in range(B + 2)][:1:-1]
    state = None
    for x_t in x:
        with torch.no_grad():
            expected, state = general.step(x_t, state)
        assert_equal(stream.push(x_t), expected)
        assert_equal(pool.push(slots, x_t).output, expected)
        assert_equal(stream.state, state)
        for column, slot in enumerate(slots):
            assert_equal(tensors(pool.state(slot)), [s[:, column : column + 1] for s in tensors(state)])
    with torch.no_grad():
        assert_equal(pool.push(slots, x).output, general(x, state)[0])  # several steps are a sequence
        again = stream.state
        stream.clear()
        assert_equal(stream.push(x[0]).clone(), general.step(x[0])[0])
        stream.state = again
        pool.set_state(slots[0], None)
        assert_equal(stream.push(x[1]), general.step(x[1], again)[0])
        assert_equal(pool.push(slots[:1], x[0, :1]).output, general.step(x[0, :1])[0])


def test_where_nothing_is_rounded_a_call_under_autocast_is_that_of_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer, x = layer_of("gru"), torch.randn(T, B, I)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        layer(x)
        layer(x.bfloat16())
    kinds = [type(cached.call) for cached in layer._calls.values() if cached is not None]
    assert len(kinds) == 2 and CastPrepared not in kinds[:1] and kinds[1] is CastPrepared
