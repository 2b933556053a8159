"""`POST /v1/completions` and `/v1/chat/completions`, as OpenAI's clients call them."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from elman.serve.answers import ApiError, answer
from elman.serve.bodies import read_object
from elman.serve.completion import Completion, Writing, replying, writing
from elman.serve.events import EventStream
from elman.serve.options import FLAG, NUMBER, OBJECT, SEED, STOPS, TEMPERATURE, Kind, checked_fields, whole
from elman.serve.waiting import require_client

MAX_TOKENS: Final = 100_000
TOKENS: Final = whole(1, MAX_TOKENS)
FIELDS: Final = {
    "model": Kind("the name of a model", lambda value: isinstance(value, str)),
    "stream": FLAG,
    "stream_options": OBJECT,
    "max_tokens": TOKENS,
    "temperature": TEMPERATURE,
    "top_p": NUMBER,
    "top_k": whole(0),
    "seed": SEED,
    "stop": STOPS,
}
COMPLETION: Final = FIELDS | {"prompt": Kind("one text", lambda value: isinstance(value, str | list))}
CHAT: Final = FIELDS | {
    "messages": Kind("a list of messages", lambda value: isinstance(value, list) and value != []),
    "max_completion_tokens": TOKENS,
}
# What OpenAI has and elman doesn't, with the values that ask for nothing.
NEUTRAL: Final = {
    "n": (1,),
    "best_of": (1,),
    "echo": (False,),
    "logprobs": (False,),
    "top_logprobs": (),
    "suffix": ("",),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "tools": ([],),
    "functions": ([],),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
}
# What a client may say about itself, which changes no answer.
IGNORED: Final = (
    *("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"),
    *("tool_choice", "function_call", "parallel_tool_calls", "reasoning_effort", "verbosity"),
)


async def completions(request: Request) -> Response:
    """Continue a text with a language model."""
    body = await _body(request, COMPLETION, "prompt")
    entry = request.app.state.shelf[body["model"]]
    if entry.task != "generate":
        where = "/v1/chat/completions" if entry.task == "chat" else f"/v1/predict/{entry.name}"
        raise ApiError(422, f"{entry.name!r} does not continue texts: see {where}", "model")
    prompt = body["prompt"]
    if isinstance(prompt, list):  # of texts or tokens
        if len(prompt) != 1 or not isinstance(prompt[0], str):
            raise ApiError(422, "prompt must be one text: send a request for each", "prompt")
        prompt = prompt[0]
    completion = Completion(
        prompt,
        body.get("max_tokens", 16),  # as OpenAI has it
        {name: body[name] for name in ("temperature", "top_p", "top_k", "seed", "stop") if name in body},
    )
    written = writing(await entry.loaded(), completion)
    return await _respond(request, body, Form("text_completion", "cmpl", entry.name), written)


async def chat_completions(request: Request) -> Response:
    """Reply to a conversation with a chatbot."""
    body = await _body(request, CHAT, "messages")
    entry = request.app.state.shelf[body["model"]]
    if entry.task != "chat":
        where = "/v1/completions" if entry.task == "generate" else f"/v1/predict/{entry.name}"
        raise ApiError(422, f"{entry.name!r} is no chatbot: see {where}", "model")
    written = replying(await entry.loaded(), body["messages"], body.get("seed", 0))
    form = Form("chat.completion", "chatcmpl", entry.name)
    # a chatbot chooses among whole replies by its own settings
    form.ignored = sorted(
        body.keys() & {"temperature", "top_p", "top_k", "stop", "max_tokens", "max_completion_tokens"}
    )
    return await _respond(request, body, form, written)


async def _body(request: Request, fields: Mapping[str, Kind], needed: str) -> dict[str, Any]:
    """Return the fields of a request that elman has. Raises ApiError for a missing or wrong one, and for one
    that asks for what elman can't do."""
    body = await read_object(request, request.app.state.limits.message_bytes)
    for name, neutral in NEUTRAL.items():
        if body.get(name) is not None and body.pop(name) not in neutral:
            offer = "one answer" if name in ("n", "best_of") else "none of that"
            raise ApiError(422, f"{name} is not supported: elman gives {offer}, leave it out", name)
        body.pop(name, None)
    chosen = checked_fields({k: v for k, v in body.items() if k not in IGNORED}, fields)
    for name in ("model", needed):
        if name not in chosen:
            raise ApiError(422, f"{name} is missing: it must be {fields[name].phrase}", name)
    return chosen


class Form:
    """The objects that answer a request: their kind, id and model."""

    def __init__(self, kind: str, prefix: str, model: str) -> None:
        self.kind, self.is_chat = kind, kind == "chat.completion"
        self._common = {"id": f"{prefix}-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}
        self.ignored: list[str] = []

    def whole(self, text: str, written: Writing) -> dict[str, Any]:
        """Return the answer at once."""
        choice = {"message": {"role": "assistant", "content": text}} if self.is_chat else {"text": text}
        more = {"ignored": self.ignored} if self.ignored else {}
        return {
            **self._common,
            "object": self.kind,
            "choices": [{"index": 0, **choice, "logprobs": None, "finish_reason": written.reason}],
            "usage": usage(written),
            **more,
        }

    def part(self, text: str | None, reason: str | None = None, first: bool = False) -> dict[str, Any]:
        """Return a chunk of the answer; the last has no text but the reason."""
        delta: dict[str, Any] = {"role": "assistant"} if first else {}
        delta |= {} if text is None else {"content": text}
        choice = {"delta": delta} if self.is_chat else {"text": text or ""}
        choices = [{"index": 0, **choice, "logprobs": None, "finish_reason": reason}]
        return {**self._common, "object": self._part, "choices": choices}

    def counted(self, written: Writing) -> dict[str, Any]:
        """Return the chunk that says how much was read and written."""
        return {**self._common, "object": self._part, "choices": [], "usage": usage(written)}

    @property
    def _part(self) -> str:
        return "chat.completion.chunk" if self.is_chat else self.kind


def usage(written: Writing) -> dict[str, int]:
    """Return the numbers of tokens."""
    total = written.prompt_tokens + written.tokens
    return {
        "prompt_tokens": written.prompt_tokens,
        "completion_tokens": written.tokens,
        "total_tokens": total,
    }


async def _respond(request: Request, body: dict[str, Any], form: Form, written: Writing) -> Response:
    deadline = request.app.state.limits.deadline
    if body.get("stream"):
        with_usage = checked_fields(body.get("stream_options", {}), {"include_usage": FLAG})
        # a request that can't be answered gets a status, not a stream
        try:
            async with asyncio.timeout(deadline):
                first = await anext(written.pieces, "")
        except BaseException:
            await written.pieces.aclose()
            raise
        events = _events(form, written, first, deadline, bool(with_usage.get("include_usage")))
        return EventStream(events, written.pieces)
    text = ""
    try:
        async with asyncio.timeout(deadline):
            async for piece in written.pieces:
                text += piece
                await require_client(request)
    finally:
        await written.pieces.aclose()
    return answer(form.whole(text, written))


async def _events(
    form: Form, written: Writing, first: str, deadline: float, with_usage: bool
) -> AsyncGenerator[dict[str, Any] | str, None]:
    """Yield the chunks of a stream."""
    try:
        yield form.part(first, first=True)
        while True:
            async with asyncio.timeout(deadline):
                piece = await anext(written.pieces, None)
            if piece is None:
                break
            yield form.part(piece)
        yield form.part(None, written.reason)
        if with_usage:
            yield form.counted(written)
        yield "[DONE]"
    finally:
        await written.pieces.aclose()


ROUTES: list[BaseRoute] = [
    Route("/v1/completions", completions, methods=["POST"]),
    Route("/v1/chat/completions", chat_completions, methods=["POST"]),
]
