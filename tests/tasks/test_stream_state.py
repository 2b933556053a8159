"""States of streams as bytes: a stream that goes on from them answers as the first; nothing else loads."""

import json
from typing import Any, Final

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

import elman
from elman.errors import ArtifactError, ElmanError, UsageError
from elman.tasks.stream_state import Saved, checking, from_bytes, mark_of, metadata, to_bytes
from saved_models import SAVED

PUSHED: Final[dict[str, list[Any]]] = {
    "classify": ["the film w", "as not go", "od and more "],
    "generate": ["I lo", "ve dee", "p\r", "\nmore"],
    "translate": ["pomon ", "vidas"],
    "forecast": [3.0, {"value": 4.0, "stamp": "2019-06-01"}, None, -5.0],
    "chat": ["Hi, I am Ada.", "What colour has snow?"],
}


def push(stream: Any, item: Any) -> Any:
    return stream.push(**item) if isinstance(item, dict) else stream.push(item)


@pytest.mark.parametrize("task", PUSHED)
def test_a_stream_goes_on_bit_for_bit(task: str) -> None:
    model = elman.load(SAVED / task)
    first = model.stream()
    for item in PUSHED[task]:
        second = model.stream()
        second.from_bytes(first.to_bytes())
        assert push(first, item) == push(second, item)
        assert str(first.result()) == str(second.result())


def test_speech_says_that_it_can_not() -> None:
    stream = elman.load(SAVED / "transcribe").stream()
    for call in (stream.to_bytes, lambda: stream.from_bytes(b"")):
        with pytest.raises(UsageError, match="a stream of speech can't be saved: finish the recording"):
            call()


@pytest.mark.parametrize("task", PUSHED)
def test_a_state_of_another_model_or_task(task: str) -> None:
    for other in PUSHED:
        if other != task:
            with pytest.raises(ArtifactError, match=f"it is of no {task!r} model"):
                elman.load(SAVED / task).stream().from_bytes(elman.load(SAVED / other).stream().to_bytes())


@pytest.mark.parametrize("task", PUSHED)
def test_damage_is_refused_and_the_stream_stays(task: str) -> None:
    model = elman.load(SAVED / task)
    stream = model.stream()
    for item in PUSHED[task]:
        push(stream, item)
    whole, before = stream.to_bytes(), str(stream.result())
    whole = stream.to_bytes()  # of a chat, with the reply
    tensors, about = load(whole), metadata(whole)
    damaged: list[Any] = [
        b"",
        "text",
        b"x" * 50,
        whole[:-1],
        save(tensors),
        save(tensors, about | {"mark": "x"}),
    ]
    damaged += [save(tensors, about | {"values": values}) for values in ("[]", "{}", "{", '{"turns": [[1]]}')]
    for name, value in tensors.items():
        others = (value.double() + 1e30, value.flatten()[:0], value.float() * torch.nan, torch.zeros(3, 2))
        damaged += [save(tensors | {name: other}, about) for other in others]
        damaged.append(save({k: v for k, v in tensors.items() if k != name}, about))
    refused = 0
    for content in damaged:
        other = model.stream()
        try:
            other.from_bytes(content)
        except ArtifactError:
            refused += 1
        else:  # what was changed is not among the state's parts, or may be so
            push(other, PUSHED[task][0])
    assert refused >= len(damaged) - 6
    with pytest.raises(ArtifactError):
        stream.from_bytes(b"")
    if task != "chat":
        assert str(stream.result()) == before


@settings(max_examples=60)
@given(st.data())
def test_a_changed_byte_never_gives_another_error(data: st.DataObject) -> None:
    model = elman.load(SAVED / "classify")
    stream = model.stream()
    stream.push("the film was not good ")
    content = bytearray(stream.to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    other = model.stream()
    try:
        other.from_bytes(bytes(content))
        other.push("more words ")
        other.result()
    except ElmanError:
        pass


def test_states_are_values_and_tensors() -> None:
    network, x = torch.nn.Linear(2, 1), torch.arange(3.0)
    content = to_bytes("toy", mark_of(network, x), Saved({"a": "é"}, {"x": x}))
    read = from_bytes(content, "toy", mark_of(network, x))
    assert read.text("a") == "é" and read.tensor("x", torch.float32, 3).equal(x) and read.length("x", 3) == 3
    assert json.loads(metadata(content)["values"]) == {"a": "é"}
    for wrong in (
        lambda: read.text("b"),
        lambda: read.tensor("x", torch.float32, 2),
        lambda: read.length("x", 2),
        lambda: read.tensor("y", torch.float32),
    ):
        with pytest.raises(ArtifactError, match="the state is damaged"), checking():
            wrong()
    with pytest.raises(ArtifactError, match="of another model"):
        from_bytes(content, "toy", mark_of(torch.nn.Linear(2, 1), x))
