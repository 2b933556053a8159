"""Streams in a pool are the same streams alone, whatever comes in which order."""

import pickle
import threading
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import elman
from compare import assert_equal
from elman.errors import UsageError

CAPACITY = 7


@st.composite
def events(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """What happens to a pool: streams open and close, and some of them take steps."""
    kinds = st.sampled_from(["open", "close", "push", "push", "push"])
    return [(kind, draw(st.integers(0, 2**32))) for kind in draw(st.lists(kinds, min_size=3, max_size=14))]


@given(st.sampled_from(["elman", "gru", "lstm", "mgu"]), st.integers(1, 2), st.booleans(), events())
def test_any_order_of_events(
    kind: str, layers: int, layer_norm: bool, happening: list[tuple[str, int]]
) -> None:
    layer = elman.Recurrent(kind, 3, 20, layers, layer_norm=layer_norm).eval()
    pool, streams = layer.pool(CAPACITY), dict[int, Any]()
    for event, seed in happening:
        generator = torch.Generator().manual_seed(seed)
        if event == "open" and len(streams) < CAPACITY:
            streams[pool.open()] = layer.stream()
        elif event == "close" and streams:
            slot = sorted(streams)[seed % len(streams)]
            pool.close(slot)
            del streams[slot]
        elif event == "push":
            order = torch.randperm(len(streams), generator=generator)[: seed % (len(streams) + 1)]
            slots = [sorted(streams)[k] for k in order.tolist()]
            steps = 1 + seed % 3
            x = torch.randn(steps, len(slots), 3, generator=generator)
            lengths = torch.randint(0, steps + 1, (len(slots),), generator=generator)
            single = steps == 1
            pushed = pool.push(slots, x[0]) if single else pool.push(slots, x, lengths)
            assert pushed.failed == []
            output = pushed.output.unsqueeze(0) if single else pushed.output
            for column, slot in enumerate(slots):
                count = 1 if single else int(lengths[column])
                for t in range(count):
                    assert torch.equal(streams[slot].push(x[t, column]), output[t, column])
                assert not output[count:, column].any()
        assert len(pool) == len(streams)
        for slot, stream in streams.items():
            assert_equal(pool.state(slot), stream.state)


def test_many_rows_on_several_threads() -> None:
    """More rows than a thread's memory holds at once."""
    layer = elman.LSTM(16, 64).eval()
    pool = layer.pool(500)
    slots = torch.tensor([pool.open() for _ in range(500)])[torch.randperm(500)]
    stream, before = layer.stream(500), torch.get_num_threads()
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            x = torch.randn(500, 16)
            assert_equal(pool.push(slots, x).output, stream.push(x))
    finally:
        torch.set_num_threads(before)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("options", [{"engine": "eager"}, {"proj_size": 4}], ids=["eager", "projection"])
def test_without_a_kernel(options: dict[str, Any]) -> None:
    layer = elman.LSTM(3, 8, 2, **options).eval()
    pool, stream = layer.pool(3), layer.stream()
    pool.open()
    slot = pool.open()
    for _ in range(3):
        x = torch.randn(1, 3)
        torch.testing.assert_close(pool.push([slot], x).output, stream.push(x))
    torch.testing.assert_close(pool.state(slot), stream.state)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_stream_that_becomes_nan_is_cleared_alone(steps: int) -> None:
    layer = elman.LSTM(3, 8, 2).eval()
    pool, stream = layer.pool(4), layer.stream()
    slots = [pool.open() for _ in range(3)]
    x = torch.randn(steps, 3, 3)
    x[-1, 1, 2] = torch.nan
    pushed = pool.push(slots, x[0] if steps == 1 else x)
    assert pushed.failed == [slots[1]]
    output = pushed.output.unsqueeze(0) if steps == 1 else pushed.output
    for t in range(steps):
        assert_equal(stream.push(x[t, 2]), output[t, 2])
    assert_equal(pool.state(slots[2]), stream.state)
    assert not any(part.any() for part in pool.state(slots[1]))
    stream.clear()
    assert_equal(pool.push([slots[1]], x[:1, 0]).output[0], stream.push(x[0, 0]))


def test_infinite_outputs_of_both_signs_are_not_nan() -> None:
    layer = elman.Recurrent("elmanrelu", 1, 2).eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.weight_ih_l0.copy_(torch.tensor([[1.0], [-1.0]]))
    pool = layer.pool(2)
    slots = [pool.open(), pool.open()]
    pushed = pool.push(slots, torch.tensor([[torch.inf], [torch.nan]]))
    assert pushed.failed == [slots[1]]
    assert bool(pool.state(slots[0]).isinf().any())


@pytest.mark.parametrize("engine", ["auto", "eager"])
def test_a_pool_is_the_same_wherever_it_is_used(engine: Any) -> None:
    layer, x = elman.LSTM(3, 8, engine=engine).eval(), torch.randn(3, 1, 3)
    stream = layer.stream()
    with torch.inference_mode():
        pool = layer.pool(2)
        slot = pool.open()
        first = pool.push([slot], x[0]).output
    with torch.autocast("cpu", torch.bfloat16):
        second = pool.push([slot], x[1]).output
        with pytest.raises(UsageError, match="bfloat16"):
            pool.push([slot], x[2].bfloat16())
    for output, x_t in zip((first, second, pool.push([slot], x[2]).output), x, strict=True):
        assert_equal(output, stream.push(x_t))
    assert_equal(pool.state(slot), stream.state)


def test_a_slot_that_was_closed_is_taken_again() -> None:
    pool = elman.GRU(3, 8).eval().pool(3)
    slots = [pool.open(), pool.open()]
    pool.close(slots[0])
    assert len(pool) == 1
    assert pool.open() == slots[0] and len({pool.open(), *slots}) == len(pool) == 3


def test_a_state_moves_to_another_pool() -> None:
    layer = elman.GRU(3, 8).eval()
    first, second = layer.pool(2), layer.pool(5)
    slot = first.open()
    first.push([slot], torch.ones(1, 3))
    there = second.open(first.state(slot))
    assert_equal(second.state(there), first.state(slot))
    second.set_state(there, None)
    assert not second.state(there).any()
    with pytest.raises(UsageError, match=r"state h must be \(1, 1, 8\)"):
        second.open(torch.zeros(1, 8))
    assert len(second) == 1


def test_arrays_and_lists_as_slots_and_none_at_all() -> None:
    layer = elman.GRU(3, 8).eval()
    pool = layer.pool(3)
    slots = [pool.open(), pool.open()]
    backwards = np.array(slots[::-1])[::-1]
    for some in (slots, tuple(slots), np.array(slots), backwards, torch.tensor(slots, dtype=torch.int32)):
        assert pool.push(some, torch.zeros(2, 3)).output.shape == (2, 8)
    assert pool.push([], torch.zeros(0, 3)).output.shape == (0, 8)
    assert pool.push([], torch.zeros(2, 0, 3)).output.shape == (2, 0, 8)
    assert pool.push(slots, torch.zeros(0, 2, 3)).output.shape == (0, 2, 8)


def test_threads_share_a_pool() -> None:
    layer = elman.LSTM(3, 8).eval()
    pool = layer.pool(4)
    slots = [pool.open() for _ in range(4)]

    def steps(slot: int) -> None:
        for _ in range(40):
            pool.push([slot], torch.full((1, 3), float(slot)))

    threads = [threading.Thread(target=steps, args=(slot,)) for slot in slots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for slot in slots:
        stream = layer.stream()
        for _ in range(40):
            stream.push(torch.full((3,), float(slot)))
        assert_equal(pool.state(slot), stream.state)


def test_mistakes_are_sentences_and_advance_nobody() -> None:
    layer = elman.LSTM(3, 8).eval()
    pool = layer.pool(2)
    first, second = pool.open(), pool.open()
    state = pool.state(first)
    with pytest.raises(UsageError, match="all 2 slots of the pool are open"):
        pool.open()
    pool.close(second)
    cases: list[tuple[Any, Any, Any, str]] = [
        ([second], torch.zeros(1, 3), None, f"slot {second} is not open"),
        ([first, first], torch.zeros(2, 3), None, "a slot is given twice"),
        ([5], torch.zeros(1, 3), None, "between 0 and 1"),
        ([-1], torch.zeros(1, 3), None, "between 0 and 1"),
        ([0.5], torch.zeros(1, 3), None, "slots must be whole numbers"),
        ([True], torch.zeros(1, 3), None, "slots must be whole numbers"),
        (first, torch.zeros(1, 3), None, "slots must be whole numbers"),
        ("a", torch.zeros(1, 3), None, "slots must be whole numbers"),
        ([2**70], torch.zeros(1, 3), None, "slots must be whole numbers"),
        ([first], torch.zeros(2, 3), None, "for N = 1 slots"),
        ([first], torch.zeros(1, 4), None, "last axis of input must be input_size 3"),
        ([first], torch.zeros(1, 3).double(), None, "float64"),
        ([first], [[0.0] * 3], None, "for N = 1 slots"),
        ([first], torch.zeros(1, 3), [1], "lengths come with"),
        ([first], torch.zeros(2, 1, 3), [3], "between 0 and the 2 steps"),
        ([first], torch.zeros(2, 1, 3), [1, 1], "one for each of the 1 sequences"),
    ]
    for slots, x, lengths, sentence in cases:
        with pytest.raises(UsageError, match=sentence):
            pool.push(slots, x, lengths)
    assert_equal(pool.state(first), state)
    for slot in (second, 9, None, "a"):
        with pytest.raises(UsageError):
            pool.close(slot)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a pool of 2000000000 streams does not fit in memory"):
        elman.LSTM(3, 4096).eval().pool(2_000_000_000)
    with pytest.raises(UsageError, match="save the states of its streams"):
        pickle.dumps(pool)
    for capacity in (0, 1.5, None, 10**15):
        with pytest.raises(UsageError, match="capacity must be a whole number from 1"):
            layer.pool(capacity)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="bidirectional"):
        elman.LSTM(3, 8, bidirectional=True).pool(2)
