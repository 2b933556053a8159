"""Streams in a pool against separate streams: the same answers, whatever comes in which order."""

from collections.abc import Callable
from functools import partial
from typing import Any

import polars as pl
from hypothesis import strategies as st

from elman.errors import ElmanError
from elman.tasks.pool import Pool

Event = tuple[str, dict[int, Any]]  # a method, and its argument for each of some streams


def events(items: st.SearchStrategy[Any], streams: int, methods: tuple[str, ...]) -> st.SearchStrategy[list]:
    """Draw calls of a pool: items are pushed, other methods called, each for any of the streams."""
    numbers = st.integers(0, streams - 1)
    pushed = st.tuples(st.just("push"), st.dictionaries(numbers, items, min_size=1))
    if not methods:
        return st.lists(pushed, min_size=1, max_size=5)
    called = st.tuples(st.sampled_from(methods), st.dictionaries(numbers, st.none(), min_size=1))
    return st.lists(pushed | called, min_size=1, max_size=6)


def check_pool(
    pool: Pool[Any], alone: Callable[..., Any], options: list[dict[str, Any]], drawn: list[Event]
) -> None:
    """Run the events in the pool and on separate streams, with these options; then let the streams go."""
    together = [pool.open(**one) for one in options]
    separate = [alone(**one) for one in options]
    for method, items in drawn:
        streams = {together[k]: item for k, item in items.items()}
        answers = getattr(pool, method)(streams)
        assert answers.done.keys() | answers.failed.keys() == streams.keys()
        for k, item in items.items():
            call = partial(getattr(separate[k], method), *((item,) if method == "push" else ()))
            if isinstance(item, dict):
                call = partial(separate[k].push, **item)
            expected = outcome(call)
            mine = answers.done.get(together[k], answers.failed.get(together[k]))
            assert plain(mine) == plain(expected)
    for stream in together:
        pool.close(stream)


def written(pool: Pool[Any], streams: list[Any]) -> dict[Any, list[str]]:
    """Return the pieces that each stream writes in the pool until it ends."""
    pieces: dict[Any, list[str]] = {stream: [] for stream in streams}
    while (answers := pool.pieces()).done:
        assert not answers.failed
        for stream, piece in answers.done.items():
            pieces[stream] += [piece] if piece else []
    return pieces


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ElmanError as error:
        return error


def plain(value: Any) -> Any:
    """Return a value that can be compared."""
    if isinstance(value, pl.DataFrame):
        return value.rows(), value.columns
    return f"{type(value).__name__}: {value}" if isinstance(value, ElmanError) else value
