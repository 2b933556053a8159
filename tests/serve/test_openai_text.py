"""Completions, as the package `openai` asks for them, and without it."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

import elman
from saved_models import SAVED
from serving import Served, serving

REPLY = {"role": "assistant", "content": "a"}


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="unused", max_retries=0) as made:
        yield made


def test_the_models(client: openai.OpenAI) -> None:
    assert "generate" in [model.id for model in client.models.list()]
    assert client.models.retrieve("generate").owned_by == "elman"


@pytest.mark.parametrize("options", [{}, {"temperature": 0}, {"temperature": 1.5, "top_p": 0.5, "seed": 3}])
def test_a_completion_is_what_the_model_generates(client: openai.OpenAI, options: dict[str, Any]) -> None:
    options = {"seed": 7} | options
    answer = client.completions.create(model="generate", prompt="I love ", max_tokens=12, **options)
    (choice,) = answer.choices
    stream = elman.load(SAVED / "generate").stream()
    stream.push("I love ")
    assert choice.text == "".join(stream.generate(10_000, tokens=12, **options))
    assert (choice.finish_reason, answer.object, answer.model) == ("length", "text_completion", "generate")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, 12)


def test_a_stream_gives_the_same_text_in_pieces(client: openai.OpenAI, served: Served) -> None:
    asked: dict[str, Any] = {"model": "generate", "prompt": ["I love "], "max_tokens": 12, "seed": 7}
    whole = client.completions.create(**asked)
    parts = list(client.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert "".join(part.choices[0].text for part in parts[:-1]) == whole.choices[0].text
    assert [part.choices[0].finish_reason for part in parts[:-1]] == [None] * (len(parts) - 2) + ["length"]
    assert parts[-1].usage == whole.usage and parts[-1].choices == []
    assert len({part.id for part in parts}) == 1
    lines = served.http.post("/v1/completions", json=asked | {"stream": True}).text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""] and "usage" not in lines[-3]
    assert served.sessions("generate") == 0


@pytest.mark.parametrize("stop", [".", ["zzz", "."], ["tea", "."]])
def test_stop_ends_before_the_first(client: openai.OpenAI, stop: Any) -> None:
    asked: dict[str, Any] = {"model": "generate", "prompt": "I love", "max_tokens": 200, "seed": 1}
    whole, cut = client.completions.create(**asked), client.completions.create(**asked, stop=stop)
    text = whole.choices[0].text
    ends = [text.index(one) for one in ([stop] if isinstance(stop, str) else stop) if one in text]
    assert cut.choices[0].text == text[: min(ends)] and cut.choices[0].finish_reason == "stop"


def test_a_chat(client: openai.OpenAI, served: Served) -> None:
    messages: list[Any] = [
        {"role": "system", "content": "Be nice."},
        {"role": "user", "content": [{"type": "text", "text": "Hi, I am Ada."}]},
    ]
    answer = client.chat.completions.create(model="chat", messages=messages, seed=3, temperature=0.5)
    bot = elman.load(SAVED / "chat").stream(seed=3)
    bot.push("Hi, I am Ada.")
    reply = bot.result()
    (choice,) = answer.choices
    assert (choice.message.content, choice.message.role, choice.finish_reason) == (reply, "assistant", "stop")
    assert answer.usage is not None
    assert answer.usage.completion_tokens == bot.num_tokens(reply)
    assert answer.usage.prompt_tokens == bot.num_tokens("Hi, I am Ada.")
    assert (answer.model_extra or {})["ignored"] == ["temperature"]
    asked: dict[str, Any] = {"model": "chat", "messages": messages, "seed": 3, "stream": True}
    parts = list(client.chat.completions.create(**asked, stream_options={"include_usage": True}))
    assert parts[0].choices[0].delta.role == "assistant"
    assert "".join(part.choices[0].delta.content or "" for part in parts[:-1]) == reply
    assert parts[-2].choices[0].finish_reason == "stop" and parts[-1].usage == answer.usage
    assert served.sessions("chat") == 0


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("completions", {"model": None}, "model is missing: it must be the name of a model"),
        ("completions", {"prompt": None}, "prompt is missing: it must be one text"),
        ("completions", {"model": "x"}, "there is no model 'x'"),
        ("completions", {"model": "chat"}, "'chat' does not continue texts: see /v1/chat/completions"),
        ("completions", {"model": "classify"}, "see /v1/predict/classify"),
        ("completions", {"prompt": ["a", "b"]}, "prompt must be one text: send a request for each"),
        ("completions", {"n": 2}, "n is not supported: elman gives one answer"),
        ("completions", {"logprobs": 5}, "logprobs is not supported"),
        ("completions", {"max_tokens": 0}, "max_tokens must be a whole number from 1"),
        ("completions", {"temperature": 1e30}, "temperature must be a number from 0 to 100"),
        ("completions", {"top_p": 0, "stream": True}, "top_p must be"),
        ("completions", {"stop": [""]}, "stop must be a text, or a list"),
        ("completions", {"promt": 1}, "there is no field 'promt'; did you mean 'prompt'?"),
        ("completions", {"stream": True, "stream_options": {"x": 1}}, "there is no field 'x'"),
        ("chat/completions", {"messages": [1]}, "'generate' is no chatbot: see /v1/completions"),
        ("chat/completions", {"model": "chat", "messages": []}, "messages must be a list of messages"),
        ("chat/completions", {"model": "chat", "messages": [1]}, "the conversation, message 1 is"),
        ("chat/completions", {"model": "chat", "messages": [REPLY]}, "the last turn must be the user's"),
    ],
)
def test_what_is_refused(served: Served, path: str, body: dict[str, Any], error: str) -> None:
    prompt = {"prompt": "a"} if path == "completions" else {}
    answer = served.http.post(f"/v1/{path}", json={"model": "generate"} | prompt | body)
    assert answer.status_code in (404, 422) and error in answer.json()["error"]["message"]
    assert served.sessions("generate") == 0


def test_the_package_reads_our_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="there is no model 'nope'"):
        client.completions.create(model="nope", prompt="a")
    with pytest.raises(openai.UnprocessableEntityError, match="n is not supported"):
        client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "a"}], n=3)


def test_a_request_that_is_cut_off_frees_its_row() -> None:
    with serving({"g": SAVED / "generate"}) as one:
        asked = {"model": "g", "prompt": "a ", "max_tokens": 100_000}
        with one.http.stream("POST", "/v1/completions", json=asked | {"stream": True}) as answer:
            assert next(answer.iter_lines()).startswith("data: ")
            assert one.app.state.shelf["g"].tally.sessions == 1
        assert one.sessions("g") == 0
        try:
            one.http.post("/v1/completions", json=asked, timeout=0.2)
        except Exception as error:
            assert "timed out" in str(error)
        assert one.sessions("g") == 0
