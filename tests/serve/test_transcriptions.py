"""Recordings as uploads, by the package `openai`, by curl and by hand."""

import asyncio
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

import elman
from audio_files import encoded, save
from elman.tasks.transcribe.network import TranscriberNet
from saved_models import SAVED
from serving import Served, serving
from tones import RATE, sentence

PATH = "/v1/audio/transcriptions"
SAMPLES = sentence("one two three", 5)
SPEECH = encoded(SAMPLES, RATE, "FLAC")
FORM = "multipart/form-data; boundary=cut"


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="unused", max_retries=0) as made:
        yield made


def sent(
    served: Served, fields: Mapping[str, Any] = {}, content: bytes = SPEECH, name: str = "a.flac"
) -> httpx.Response:
    data = {"model": "transcribe"} | dict(fields)
    return served.http.post(PATH, files={"file": (name, content)}, data=data)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_recordings_are_transcribed_as_predict_does(client: openai.OpenAI, kind: str) -> None:
    content = encoded(SAMPLES, RATE, kind)
    answer = client.audio.transcriptions.create(model="transcribe", file=("speech", content), language="en")
    assert answer.text == elman.load(SAVED / "transcribe").predict(content) == "one two three"
    assert answer.usage is not None and answer.usage.type == "duration" and answer.usage.seconds == 2


def test_formats(client: openai.OpenAI) -> None:
    words = elman.load(SAVED / "transcribe").predict(SPEECH, words=True)

    def asked(form: Any, **options: Any) -> Any:
        file = ("a.flac", SPEECH)
        return client.audio.transcriptions.create(
            model="transcribe", file=file, response_format=form, **options
        )

    assert asked("text") == "one two three\n"
    assert asked("srt") == "1\n00:00:00,160 --> 00:00:01,200\none two three\n\n"
    assert asked("vtt") == "WEBVTT\n\n00:00:00.160 --> 00:00:01.200\none two three\n\n"
    verbose = asked("verbose_json")
    assert verbose.text == "one two three" and verbose.words is None
    assert verbose.duration == pytest.approx(len(SAMPLES) / RATE, abs=1e-3)
    (segment,) = verbose.segments
    assert (segment.start, segment.end, segment.text) == (words[0].start, words[-1].end, "one two three")
    assert segment.avg_logprob == pytest.approx(np.mean(np.log([word.confidence for word in words])))
    timed = asked("verbose_json", timestamp_granularities=["word"])
    assert [(one.word, one.start, one.end) for one in timed.words] == [tuple(word[:3]) for word in words]
    assert timed.segments is None


def test_a_stream_gives_each_word_once(client: openai.OpenAI, served: Served) -> None:
    file = ("a.flac", SPEECH)
    events = [*client.audio.transcriptions.create(model="transcribe", file=file, stream=True)]
    assert [event.type for event in events] == [*["transcript.text.delta"] * 3, "transcript.text.done"]
    assert "".join(event.delta for event in events[:3]) == events[3].text == "one two three"
    assert served.sessions("transcribe") == 0


def test_keywords_are_hot_words(served: Served) -> None:
    expected = elman.load(SAVED / "transcribe").predict(SPEECH, hot_words=["two"])
    assert sent(served, {"keywords[]": ["two"]}).json()["text"] == expected != "one two three"
    assert sent(served, {"keywords": ""}).status_code == 422


def test_curl(served: Served, tmp_path: Path) -> None:
    path = save(tmp_path, "speech.wav", SAMPLES, RATE)
    command = ["curl", "-sS", f"{served.url}{PATH}", "-F", f"file=@{path}"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert json.loads(done.stdout)["text"] == "one two three"


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (b"", "a.wav is empty; it should hold a recording"),
        (b"RIFF", "a.wav is in no audio format that is known"),
        (b"hello " * 1000, "a.wav is in no audio format that is known"),
        (b"\0\0\0\x18ftypM4A ", "a.wav is MP4 or M4A; give WAV, FLAC, OGG or MP3"),
        (SPEECH[:500], "a.wav cannot be decoded"),
    ],
)
@pytest.mark.parametrize("stream", ["true", "false"])
def test_a_damaged_recording_is_one_sentence(
    served: Served, content: bytes, phrase: str, stream: str
) -> None:
    answer = sent(served, {"stream": stream}, content, "../../etc/a.wav")
    assert answer.status_code == 422 and phrase in served.error(answer)
    assert "/" not in answer.json()["error"]["message"]
    assert served.sessions("transcribe") == 0


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"model": "classify"}, "422 'classify' is a 'classify' model and can't hear"),
        ({"model": "transcriber"}, "404 there is no model 'transcriber'; did you mean 'transcribe'?"),
        ({"response_format": "diarized_json"}, "422 response_format must be one of json, text, srt, vtt"),
        ({"stream": "maybe"}, "422 stream must be one of true, false, not 'maybe'"),
        ({"sound": "a"}, "422 there is no field 'sound': there are file, model,"),
        ({"include[]": "logprobs"}, "422 include is not supported: elman gives no log-probabilities"),
        ({"timestamp_granularities[]": "word"}, "422 timestamp_granularities needs response_format"),
        ({"timestamp_granularities[]": "x"}, "422 timestamp_granularities must be one of segment, word"),
    ],
)
def test_a_wrong_field_is_one_sentence(served: Served, fields: dict[str, str], sentence: str) -> None:
    assert served.error(sent(served, fields)).startswith(sentence)


@pytest.mark.parametrize(
    ("content", "kind", "sentence"),
    [
        (b"{}", "application/json", "400 the body must be a form with a file"),
        (b"--x\r\n", "multipart/form-data", "400 the form is not valid: Missing boundary"),
        (b"--cut\r\nfoo", FORM, "422 file is missing"),
        (b"hello", FORM, "400 the form is not valid"),
        (
            b'--cut\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--cut--\r\n',
            FORM,
            "422 file is missing",
        ),
        (
            b'--cut\r\nContent-Disposition: form-data; name="model"; filename="m"\r\n\r\nx\r\n--cut--\r\n',
            FORM,
            "422 file is missing",
        ),
    ],
)
def test_a_form_that_is_none(served: Served, content: bytes, kind: str, sentence: str) -> None:
    answer = served.http.post(PATH, content=content, headers={"content-type": kind})
    assert served.error(answer).startswith(sentence)


def test_an_upload_that_is_too_large() -> None:
    with serving({"speech": SAVED / "transcribe"}, upload_bytes=20_000) as small:
        assert sent(small, {"model": "speech"}).json()["text"] == "one two three"
        assert small.error(sent(small, {"model": "speech"}, SPEECH + bytes(30_000))).startswith(
            "413 the body has more than 20000 bytes"
        )


@pytest.fixture(scope="module")
def both_ways(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that reads both ways, and has learned nothing."""
    folder = tmp_path_factory.mktemp("models") / "both"
    model: Any = elman.load(SAVED / "transcribe")
    settings = replace(model.settings, bidirectional=True)
    network = TranscriberNet(settings, settings.bins, len(model.alphabet)).eval()
    network.head.bias.data[1:] += 1.0  # so that it says something
    replace(model, settings=settings, network=network).save(folder)
    return folder


def test_a_model_that_reads_both_ways(both_ways: Path) -> None:
    expected = elman.load(both_ways).predict(SPEECH)
    with serving({"both": both_ways}) as served:
        assert sent(served, {"model": "both"}).json()["text"] == expected != ""
        events = sent(served, {"model": "both", "stream": "true"}).text
        assert events.count("transcript.text.delta") == len(expected.split())
        assert sent(served, {"model": "both"}, SPEECH[:500]).status_code == 422


def test_a_client_that_leaves_frees_its_row(served: Served) -> None:
    long = encoded(np.tile(SAMPLES, 400), RATE)  # 8 minutes

    async def leave() -> None:
        async with httpx.AsyncClient(base_url=served.url) as http:
            files = {"file": ("a.wav", long)}
            data = {"model": "transcribe", "stream": "true"}
            async with asyncio.timeout(20), http.stream("POST", PATH, files=files, data=data) as answer:
                async for _ in answer.aiter_bytes():
                    break

    asyncio.run(leave())
    assert served.sessions("transcribe") == 0
