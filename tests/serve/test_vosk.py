"""Live speech in vosk's protocol, by vosk's own client and by hand."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import elman
from saved_models import SAVED
from serving import Served, serving
from tones import RATE, sentence

QUIET = (0.003 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
SAMPLES = np.concatenate([sentence("one two", 0), QUIET, sentence("three", 1), QUIET, sentence("two", 2)])
PCM = (SAMPLES * 32767).round().astype("<i2").tobytes()
AT_8000 = json.dumps({"config": {"sample_rate": 8000.0}})


@contextmanager
def vosk(served: Served, path: str = "/vosk", config: str | None = AT_8000) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{served.port}{path}") as socket:
        if config is not None:
            socket.send(config)
        yield socket


def said(socket: ClientConnection, message: str | bytes) -> dict[str, Any]:
    socket.send(message)
    reply: dict[str, Any] = json.loads(socket.recv(20))
    return reply


def error(socket: ClientConnection, message: str | bytes) -> str:
    return str(said(socket, message)["error"]["message"])


@pytest.mark.parametrize("path", ["/vosk", "/vosk/transcribe", "/"])
def test_partial_and_final_results(served: Served, path: str) -> None:
    stream = elman.load(SAVED / "transcribe").stream()
    with vosk(served, path) as socket:
        final, partial = [], set()
        for start in range(0, len(PCM), 1600):
            reply = said(socket, PCM[start : start + 1600])
            stream.push(np.frombuffer(PCM[start : start + 1600], "<i2").astype(np.int16))
            if "partial" in reply:
                assert reply["partial"] == stream.result()
                partial.add(reply["partial"])
            else:
                final.append(reply)
        assert partial >= {"", "one", "one two", "three", "two"}
        last = said(socket, '{"eof" : 1}')
        assert [one["text"] for one in (*final, last)] == ["one two", "three", "two"]
        words = elman.load(SAVED / "transcribe").predict(SAMPLES, RATE, words=True)
        timed = [word for one in (*final, last) for word in one["result"]]
        assert [(one["word"], one["start"], one["end"]) for one in timed] == [word[:3] for word in words]
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1000
    assert served.sessions("transcribe") == 0


def test_vosk_s_own_client(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    transcriber = pytest.importorskip("vosk.transcriber.transcriber", reason="vosk is not installed")
    monkeypatch.setattr(transcriber, "SAMPLE_RATE", 8000.0)
    args = SimpleNamespace(server=f"ws://127.0.0.1:{served.port}", output_type="txt")
    client = object.__new__(transcriber.Transcriber)  # whose __init__ downloads a model
    client.args = args

    async def transcribed() -> Any:
        stdout = asyncio.StreamReader()
        stdout.feed_data(PCM)
        stdout.feed_eof()
        return await client.recognize_stream_server(SimpleNamespace(stdout=stdout))

    result, count = asyncio.run(transcribed())
    assert count == len(PCM) and client.format_result(result) == "one two\nthree\ntwo\n"
    args.output_type = "srt"
    assert client.format_result(result).count("-->") == 3


def test_a_configuration(served: Served) -> None:
    config = {
        "phrase_list": ["one one", "[unk]"],
        "words": False,
        "max_alternatives": 2,
        "model": "transcribe",
    }
    with vosk(served, config=json.dumps({"config": config | {"sample_rate": RATE}})) as socket:
        said(socket, PCM[: 2 * RATE])
        (alternative,) = said(socket, '{"reset" : 1}')["alternatives"]
        assert alternative.keys() == {"confidence", "text"} and "two" not in alternative["text"]
        said(socket, PCM[:1600])  # goes on after a reset
        assert said(socket, '{"eof" : 1}') == {"alternatives": [{"confidence": 1.0, "text": ""}]}


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (b"odd", "a binary message must hold 16-bit samples"),
        ("garbage", "the JSON is not valid"),
        ("{}", "a message is 16-bit samples, or an object with one of config, eof, reset"),
        ('{"config": 1}', "config must be an object, not int"),
        ('{"config": {"sample_rate": "x"}}', "sample_rate must be a number, not 'x'"),
        ('{"config": {"sample_rate": 1.5}}', "sample_rate must be a whole number, not 1.5"),
        ('{"config": {"sample_rate": 1e999}}', "sample_rate must be a number"),
        (
            '{"config": {"model": "classify"}}',
            "'classify' is a 'classify' model and can't hear",
        ),
        ('{"config": {"model": "/etc"}}', "there is no model '/etc'"),
        ('{"config": {"volume": 1}}', "there is no field 'volume'"),
    ],
)
def test_a_wrong_message_is_answered(served: Served, message: str | bytes, sentence: str) -> None:
    with vosk(served) as socket:
        assert error(socket, message).startswith(sentence)
        assert said(socket, PCM[:1600]) == {"partial": ""}


def test_a_rate_that_is_none_and_a_late_configuration(served: Served) -> None:
    with vosk(served, config='{"config": {"sample_rate": 1}}') as socket:
        assert error(socket, b"\0\0").startswith("the stream has a rate of 1; speech has")
        socket.send(AT_8000)
        assert said(socket, b"\0\0") == {"partial": ""}
        assert error(socket, AT_8000) == "a configuration comes before the first samples"
    with vosk(served) as socket:
        assert said(socket, '{"eof" : 1}') == {"text": ""}


def test_which_model(served: Served) -> None:
    for name, status in (("classify", "422"), ("nothing", "404")):
        with pytest.raises(InvalidStatus, match=status), vosk(served, f"/vosk/{name}"):
            pass
    with serving({"c": SAVED / "classify"}) as deaf, vosk(deaf) as socket:
        assert error(socket, b"\0\0") == "this server has no model of speech"
