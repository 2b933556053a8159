"""Generated text for one HTTP request: a stream is opened in the pool and closed with the request."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from elman.serve.loaded import Loaded
from elman.serve.ticker import PART_CHARACTERS


class Completion(NamedTuple):
    """A prompt, the maximum number of tokens, and options of a language model's `generate`."""

    prompt: str
    tokens: int
    options: dict[str, Any]


@dataclass
class Writing:
    """Text that is being written.

    Attributes:
        pieces: of the text; to close them frees the row.
        prompt_tokens: that were read, known with the first piece.
        tokens, reason: of the text, and why it ended, "stop" or "length"; known at its end.
    """

    pieces: AsyncGenerator[str, None] = field(init=False)
    prompt_tokens: int = 0
    tokens: int = 0
    reason: str = "stop"


def writing(loaded: Loaded, completion: Completion) -> Writing:
    """Continue a text with a language model."""
    written = Writing()

    async def pieces() -> AsyncGenerator[str, None]:
        ticker = loaded.ticker
        stream = await ticker.open()
        try:
            await ticker.push_text(stream, completion.prompt)
            written.prompt_tokens = await loaded.run(stream.num_tokens, completion.prompt)
            options = {"length": 64 * completion.tokens, "tokens": completion.tokens} | completion.options
            async for piece in ticker.write(stream, **options):
                yield piece
            written.tokens, written.reason = stream.written
        finally:
            ticker.close(stream)

    written.pieces = pieces()
    return written


def replying(loaded: Loaded, messages: list[Any], seed: int) -> Writing:
    """Reply to a conversation with a chatbot, in one piece, as it chooses among whole replies."""
    written = Writing()

    async def pieces() -> AsyncGenerator[str, None]:
        ticker = loaded.ticker
        stream = await ticker.open(seed=seed)
        try:
            if len(str(messages)) <= PART_CHARACTERS:
                await ticker.call(stream, "tell", messages)
            else:  # not in the pool, whose other streams would wait for it
                await loaded.run(stream.tell, messages)
            reply = await ticker.call(stream, "result")
            texts = [turn.text for turn in stream.turns]
            *prompt, written.tokens = await loaded.run(lambda: [*map(stream.num_tokens, texts)])
            written.prompt_tokens = sum(prompt)
            yield reply
        finally:
            ticker.close(stream)

    written.pieces = pieces()
    return written
