"""Sessions without a client: what a push may be, and that rows are freed."""

import asyncio

import numpy as np
import pytest

from elman.serve.answers import ApiError
from elman.serve.limits import Limits
from elman.serve.session import Session
from elman.serve.shelf import Shelf
from saved_models import SAVED


async def _answers(session: Session, message: dict[str, object]) -> list[dict[str, object]]:
    return [reply async for reply in session.answers(message)]


def test_a_session_frees_its_row_whenever_it_closes() -> None:
    async def talk() -> None:
        limits = Limits(sessions=2)
        entry = Shelf({"g": SAVED / "generate"}, limits)["g"]
        loaded = await entry.loaded()
        session = Session(entry, loaded, limits)
        session.close()  # before it began
        assert await _answers(session, {"push": "I love "}) == [{"pushed": None}]
        assert loaded.sessions == 1
        await _answers(session, {"open": {}})  # in place of the first
        writing = session.answers({"write": {"length": 1000}})
        assert "piece" in await anext(writing)
        session.close()
        await writing.aclose()  # type: ignore[attr-defined]
        while loaded.sessions:
            await asyncio.sleep(0.001)
        entry.close()

    asyncio.run(asyncio.wait_for(talk(), 100))


@pytest.mark.parametrize(
    ("task", "item"), [("classify", 1), ("classify", b"ab"), ("forecast", True), ("transcribe", ["a"])]
)
def test_a_push_of_another_kind_is_refused(task: str, item: object) -> None:
    async def talk() -> None:
        limits = Limits()
        entry = Shelf({task: SAVED / task}, limits)[task]
        session = Session(entry, await entry.loaded(), limits)
        with pytest.raises(ApiError, match=r"push|binary"):
            await _answers(session, {"push": item})
        if task == "transcribe":
            pcm = np.zeros(800, "<i2").tobytes()
            assert (await _answers(session, {"push": pcm}))[0]["pushed"]
        session.close()
        entry.close()

    asyncio.run(asyncio.wait_for(talk(), 100))
