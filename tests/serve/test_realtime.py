"""OpenAI's realtime protocol, by the package `openai` and by hand."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import openai
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from elman.serve.pcm import G711
from serving import Served
from tones import RATE, sentence

QUIET = (0.003 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
SAMPLES = np.concatenate([sentence("one two", 0), QUIET, sentence("three", 1), QUIET, sentence("two", 2)])
PCM = (SAMPLES * 32767).round().astype("<i2")
FORMAT = {"type": "audio/pcm", "rate": RATE}


def base64(samples: Any) -> str:
    return b64encode(samples.tobytes()).decode()


@contextmanager
def realtime(served: Served, query: str = "") -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{served.port}/v1/realtime{query}") as socket:
        assert heard(socket)["type"] == "session.created"
        yield socket


def heard(socket: ClientConnection) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(socket.recv(20))
    return event


def said(socket: ClientConnection, kind: str, **fields: Any) -> dict[str, Any]:
    socket.send(json.dumps({"type": kind} | fields))
    return heard(socket)


def update(socket: ClientConnection, **listening: Any) -> dict[str, Any]:
    session = {"type": "transcription", "audio": {"input": listening}}
    return said(socket, "session.update", session=session)


def error(event: dict[str, Any]) -> str:
    assert event["type"] == "error"
    return str(event["error"]["message"])


def transcripts(
    socket: ClientConnection, samples: Any, size: int = RATE // 10
) -> tuple[list[str], list[str]]:
    """Append samples and commit; return the deltas, and the transcripts that were completed."""
    for start in range(0, len(samples), size):
        append = {"type": "input_audio_buffer.append", "audio": base64(samples[start : start + size])}
        socket.send(json.dumps(append))
    socket.send('{"type": "input_audio_buffer.commit"}')
    socket.send('{"type": "input_audio_buffer.clear"}')
    deltas, completed = [], []
    while (event := heard(socket))["type"] != "input_audio_buffer.cleared":
        assert event["type"] != "error", event
        deltas += [event["delta"]] if event["type"].endswith(".delta") else []
        completed += [event["transcript"]] if event["type"].endswith(".completed") else []
    return deltas, completed


@pytest.mark.parametrize("detection", [{"type": "server_vad", "silence_duration_ms": 500}, None])
def test_the_package_openai(served: Served, detection: Any) -> None:
    async def events() -> list[Any]:
        url = f"{served.url}/v1"
        client = openai.AsyncOpenAI(
            base_url=url, api_key="unused", websocket_base_url=url.replace("http", "ws")
        )
        received = []
        async with client, client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
            listening: Any = {"format": FORMAT, "transcription": {"model": "transcribe", "language": "en"}}
            listening |= {"turn_detection": detection}
            await connection.session.update(session={"type": "transcription", "audio": {"input": listening}})
            for start in range(0, len(PCM), 800):
                await connection.input_audio_buffer.append(audio=base64(PCM[start : start + 800]))
            await connection.input_audio_buffer.commit()
            await connection.input_audio_buffer.clear()
            async for event in connection:
                received.append(event)
                if event.type == "input_audio_buffer.cleared":
                    break
        return received

    received = asyncio.run(events())
    kinds = [event.type for event in received]
    assert kinds[:2] == ["session.created", "session.updated"] and "error" not in kinds
    deltas = [event for event in received if event.type.endswith(".delta")]
    completed = [event for event in received if event.type.endswith(".completed")]
    expected = ["one two", "three", "two"] if detection else ["one two three two"]
    assert [event.transcript for event in completed] == expected
    for event in completed:
        assert "".join(one.delta for one in deltas if one.item_id == event.item_id) == event.transcript
    committed = [event for event in received if event.type == "input_audio_buffer.committed"]
    assert [event.previous_item_id for event in committed] == [None, *(one.item_id for one in committed[:-1])]
    assert kinds.count("input_audio_buffer.speech_started") == (3 if detection else 0)
    assert served.sessions("transcribe") == 0


def test_the_form_of_the_beta(served: Served) -> None:
    with realtime(served, "?intent=transcription") as socket:
        session = {
            "input_audio_format": "g711_ulaw",
            "input_audio_transcription": {"model": "transcribe", "prompt": "", "language": "en"},
            "turn_detection": None,
            "input_audio_noise_reduction": None,
        }
        assert said(socket, "transcription_session.update", session=session)["type"] == (
            "transcription_session.updated"
        )
        nearest = np.abs(PCM[:, None].astype(int) - G711["pcmu"].astype(int)).argmin(1).astype(np.uint8)
        assert transcripts(socket, nearest)[1] == ["one two three two"]


def test_a_session_goes_on_and_can_be_changed(served: Served) -> None:
    with realtime(served, "?model=transcribe") as socket:
        assert update(socket, format=FORMAT)["session"]["audio"]["input"]["format"] == FORMAT
        assert transcripts(socket, PCM[: len(sentence("one two", 0))]) == (["one", " two"], ["one two"])
        assert transcripts(socket, PCM)[1] == ["one two", "three", "two"]
        assert said(socket, "input_audio_buffer.append", audio=base64(PCM))["type"].endswith("speech_started")
        socket.send('{"type": "input_audio_buffer.clear"}')
        while heard(socket)["type"] != "input_audio_buffer.cleared":
            pass
        detection = {"type": "server_vad", "silence_duration_ms": 2000, "threshold": 0.4}
        session = update(socket, turn_detection=detection)["session"]
        assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 2000
        assert session["audio"]["input"]["format"] == FORMAT
        assert transcripts(socket, PCM)[1] == ["one two three two"]


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ({"type": "response.create"}, "type must be one of session.update,"),
        ({"type": 3}, "type must be one of"),
        ({"type": "input_audio_buffer.append"}, "audio must be a text, the samples in base64"),
        ({"type": "input_audio_buffer.append", "audio": "???"}, "audio is not valid base64"),
        ({"type": "input_audio_buffer.append", "audio": "é"}, "audio is not valid base64"),
        ({"type": "input_audio_buffer.append", "audio": "AAAA"}, "a binary message must hold 16-bit"),
        ({"type": "input_audio_buffer.commit"}, "the input audio buffer is empty"),
        ({"type": "session.update"}, "session must be an object, not NoneType"),
        ({"type": "session.update", "session": {"type": "realtime"}}, "this server transcribes"),
        ({"type": "session.update", "session": {"voice": "x"}}, "session has no field 'voice'"),
        ({"type": "session.update", "session": {"input_audio_format": "mp3"}}, "input_audio_format must be"),
    ],
)
def test_a_wrong_event_is_answered(served: Served, message: dict[str, Any], sentence: str) -> None:
    with realtime(served) as socket:
        socket.send(json.dumps(message | {"event_id": "mine"}))
        event = heard(socket)
        assert error(event).startswith(sentence) and event["error"]["event_id"] == "mine"
        socket.send(b"garbage")
        assert error(heard(socket)).startswith("the JSON is")
        assert update(socket)["type"] == "session.updated"


@pytest.mark.parametrize(
    ("listening", "sentence"),
    [
        ({"format": {"type": "audio/mp3"}}, "format.type must be one of audio/pcm, audio/pcmu"),
        ({"format": {"type": "audio/pcm", "rate": 3}}, "format.rate must be a whole number from 1000"),
        ({"transcription": {"model": "whisper-1"}}, "there is no model 'whisper-1'"),
        ({"transcription": {"model": "classify"}}, "'classify' is a 'classify' model"),
        ({"turn_detection": {"type": "semantic_vad"}}, "turn_detection must be server_vad or null"),
        ({"turn_detection": {"silence_duration_ms": 1}}, "turn_detection.silence_duration_ms must be"),
        ({"turn_detection": 1}, "session.audio.input.turn_detection must be an object, not 1"),
    ],
)
def test_a_wrong_choice_is_answered(served: Served, listening: dict[str, Any], sentence: str) -> None:
    with realtime(served) as socket:
        assert error(update(socket, **listening)).startswith(sentence)


def test_no_change_amid_an_utterance_and_no_such_model(served: Served) -> None:
    with realtime(served) as socket:
        update(socket, format=FORMAT)
        socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": base64(PCM[:400])}))
        assert error(update(socket, format={"type": "audio/pcm"})).startswith("commit or clear")
        assert update(socket, format=FORMAT)["type"] == "session.updated"
    with pytest.raises(InvalidStatus, match="404"), realtime(served, "?model=nothing"):
        pass
