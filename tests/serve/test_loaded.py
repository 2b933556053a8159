"""A model in memory."""

import asyncio
import threading

import pytest

import elman
from elman.errors import UsageError
from elman.serve.answers import ApiError
from elman.serve.limits import Limits
from elman.serve.loaded import Loaded
from saved_models import SAVED


def test_requests_wait_in_a_queue_of_limited_length() -> None:
    async def use() -> None:
        loaded, gate = Loaded(SAVED / "classify", Limits(queue=2)), threading.Event()
        first = [asyncio.create_task(loaded.run(gate.wait, 20)) for _ in range(2)]
        await asyncio.sleep(0)
        assert loaded.waiting == 2
        with pytest.raises(ApiError, match="2 requests wait for this model already") as refused:
            await loaded.run(int)
        assert refused.value.status == 429
        gate.set()
        assert await asyncio.gather(*first) == [True, True]
        assert await loaded.run(int) == 0 and loaded.waiting == 0
        loaded.close()

    asyncio.run(use())


def test_a_model_that_reads_both_ways_has_no_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(model: object, capacity: int) -> None:
        raise UsageError("this classifier is bidirectional and can't stream")

    monkeypatch.setattr(elman.Classifier, "pool", refuse)

    async def use() -> None:
        loaded = Loaded(SAVED / "classify", Limits())
        with pytest.raises(ApiError, match="is bidirectional and can't stream") as refused:
            _ = loaded.ticker
        assert refused.value.code == "no_stream" and loaded.sessions == 0
        assert await loaded.run(loaded.model.predict, "good film") == "bad"
        loaded.close()

    asyncio.run(use())
