"""Utterances of live speech in a model's pool."""

import asyncio
from typing import Any

import numpy as np
import pytest

import elman
from elman.serve.answers import ApiError
from elman.serve.limits import Limits
from elman.serve.live_speech import LiveSpeech, require_sound, speech_model
from elman.serve.shelf import Shelf
from saved_models import SAVED
from tones import RATE, sentence

SPEECH = SAVED / "transcribe"


def shelf(**folders: Any) -> Shelf:
    return Shelf(folders or {"speech": SPEECH}, Limits())


def test_utterances_end_where_the_stream_ends_them() -> None:
    quiet = (0.003 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    pieces = [sentence(text, seed) for seed, text in enumerate(("one two", "three", "two one"))]
    samples = np.concatenate([part for one in pieces for part in (one, quiet)])
    stream = elman.load(SPEECH).stream()

    async def use() -> None:
        entry = shelf()["speech"]
        speech = LiveSpeech(entry, Limits())
        words, ended, pending = [], [], set()
        for start in range(0, len(samples), 800):
            piece = samples[start : start + 800]
            new = await speech.push(piece)
            assert new.words == stream.push(piece) and new.pending == stream.result()
            words += new.words
            ended += [] if new.ended is None else [" ".join(word.text for word in new.ended)]
            pending.add(new.pending)
        assert ended == ["one two", "three", "two one"] and pending >= {"", "one", "one two", "two one"}
        assert (await speech.finish()).ended == []
        # another recording
        await speech.push(pieces[0])
        last = await speech.finish()
        assert [word.text for word in last.ended or ()] == ["one", "two"]
        await speech.push(pieces[0])
        await speech.reset()
        assert (await speech.finish()).ended == []
        speech.close()
        assert await LiveSpeech(entry, Limits()).finish() == ([], [], "")
        entry.close()

    asyncio.run(use())


def test_which_model_transcribes() -> None:
    two = shelf(a=SPEECH, b=SPEECH, c=SAVED / "classify")
    assert speech_model(two, "b") is two["b"]
    assert speech_model(shelf(a=SPEECH, c=SAVED / "classify"), None).name == "a"
    with pytest.raises(ApiError, match="several models of speech, so name one: a, b"):
        speech_model(two, None)
    with pytest.raises(ApiError, match="'c' is a 'classify' model and can't hear"):
        speech_model(two, "c")
    with pytest.raises(ApiError, match="no model of speech"):
        speech_model(shelf(c=SAVED / "classify"), None)
    with pytest.raises(ApiError, match="precomputed frames"):
        require_sound({"input": "frames"})
