"""Text written for a request, and the row that it takes meanwhile."""

import asyncio

import pytest

import elman
from elman.errors import DataError
from elman.serve.completion import Completion, Writing, replying, writing
from elman.serve.limits import Limits
from elman.serve.loaded import Loaded
from saved_models import SAVED


async def _freed(loaded: Loaded) -> None:
    while loaded.sessions:
        await asyncio.sleep(0.001)
    loaded.close()


def test_a_continuation_and_one_that_is_broken_off() -> None:
    async def use() -> None:
        loaded = Loaded(SAVED / "generate", Limits())
        written = writing(loaded, Completion("I love ", 6, {"seed": 1}))
        text = "".join([piece async for piece in written.pieces])
        stream = elman.load(SAVED / "generate").stream()
        stream.push("I love ")
        assert text == "".join(stream.generate(1000, seed=1, tokens=6))
        assert (written.prompt_tokens, written.tokens, written.reason) == (2, 6, "length")
        broken = writing(loaded, Completion("I love ", 1000, {}))
        assert await anext(broken.pieces) and loaded.sessions == 1
        await broken.pieces.aclose()
        await _freed(loaded)

    asyncio.run(asyncio.wait_for(use(), 100))


def test_a_long_conversation_is_answered_as_a_stream_does() -> None:
    messages = [{"role": "user", "content": "Hi, I am Ada. " * 1000}]
    stream = elman.load(SAVED / "chat").stream(seed=3)
    stream.tell(messages)

    async def use() -> None:
        loaded = Loaded(SAVED / "chat", Limits())
        written = replying(loaded, messages, 3)
        assert [piece async for piece in written.pieces] == [stream.result()]
        assert written.prompt_tokens == stream.num_tokens(stream.turns[0].text)
        await _freed(loaded)

    asyncio.run(asyncio.wait_for(use(), 100))


def test_replies_and_conversations_that_have_none() -> None:
    async def text(written: Writing) -> str:
        return "".join([piece async for piece in written.pieces])

    async def use() -> None:
        loaded = Loaded(SAVED / "chat", Limits())
        turns = [{"role": "user", "content": "Hi, I am Ada."}]
        assert await text(replying(loaded, turns, 0)) == elman.load(SAVED / "chat").predict("Hi, I am Ada.")
        with pytest.raises(DataError, match="the conversation, message 1"):
            await text(replying(loaded, [{"role": "user"}], 0))
        await _freed(loaded)

    asyncio.run(asyncio.wait_for(use(), 100))
