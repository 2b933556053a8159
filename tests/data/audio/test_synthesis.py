"""Speech by eSpeak NG, and what is said where it is missing or breaks."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from elman.data.audio import synthesis
from elman.data.audio.synthesis import EspeakNG, Voice, divided_voices
from elman.errors import DataError, UsageError


@pytest.fixture
def speaker() -> Iterator[EspeakNG]:
    try:
        made = EspeakNG()
    except UsageError as reason:
        pytest.skip(str(reason))
    with made:
        yield made


def test_voices_differ(speaker: EspeakNG) -> None:
    voices = speaker.voices("en")
    assert len(voices) > 50 and not any("robo" in voice.variant for voice in voices)
    assert {"en", "en-US"} <= {voice.language for voice in voices} and "en-Shaw" not in str(voices)
    assert {voice.language for voice in speaker.voices("en-us")} == {"en-US", "en-US-nyc"}
    said = [speaker.say("seven", voice) for voice in voices[:: len(voices) // 5]]
    assert len({samples.tobytes() for samples in said}) == len(said)
    assert all(0.01 < np.abs(samples).max() <= 1 and samples.dtype == np.float32 for samples in said)


def test_speed_and_pitch_count(speaker: EspeakNG) -> None:
    voice = Voice("en", "m3")
    slow, fast = (speaker.say("one two three", voice, speed=speed) for speed in (120, 240))
    assert len(slow) > 1.3 * len(fast)
    assert not np.array_equal(speaker.say("one", voice, pitch=10), speaker.say("one", voice, pitch=90))


@pytest.mark.parametrize(
    "text", ["[[h@l'oU]]", "<speak>a</speak>", '<audio src="/etc/passwd"/>', "&lt;", "\0a"]
)
def test_markup_is_text(speaker: EspeakNG, text: str) -> None:
    plain = speaker.say("a", Voice("en"))
    assert text == "\0a" or len(speaker.say(text, Voice("en"))) > len(plain)


def test_languages_and_voices_that_are_missing(speaker: EspeakNG) -> None:
    with pytest.raises(UsageError, match="no voice for the language 'en-uk'; did you mean"):
        speaker.voices("en-uk")
    with pytest.raises(UsageError, match="no voice for the language"):
        speaker.voices("")
    with pytest.raises(UsageError, match="has no voice 'nope'"):
        speaker.say("a", Voice("nope"))


def test_a_crash_is_a_sentence(speaker: EspeakNG) -> None:
    speaker._process.kill()
    for _ in range(2):
        with pytest.raises(DataError, match="crashed or hung while saying 'a'"):
            speaker.say("a", Voice("en"))


def test_without_it_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setattr(synthesis, "find_library", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'elman\[synthesis\]'"):
        EspeakNG()


@pytest.mark.parametrize("program", ["import sys", "print('no facts')", "import os; os.abort()"])
def test_a_program_that_does_not_start(program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(program)
    monkeypatch.setattr(synthesis, "PROGRAM", tmp_path / "broken.py")
    monkeypatch.setattr(synthesis, "located", lambda: ("library", None))
    with pytest.raises(UsageError, match="does not start"):
        EspeakNG()


def test_a_program_that_hangs_or_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    facts = '{"rate": 8000, "voices": {"en": "gmw/en"}, "variants": []}'
    program = f"import sys, time; print('{facts}', flush=True); sys.stdin.readline(); "
    monkeypatch.setattr(synthesis, "PROGRAM", tmp_path / "broken.py")
    monkeypatch.setattr(synthesis, "located", lambda: ("library", None))
    half = "sys.stdout.buffer.write(b'\\x02\\0\\0\\0ab'); sys.stdout.flush(); time.sleep(60)"
    for then in ("time.sleep(60)", half, "sys.stdout.buffer.write(b'\\xff\\xff\\xff\\x7fab')"):
        (tmp_path / "broken.py").write_text(program + then)
        with EspeakNG() as speaker:
            monkeypatch.setattr(synthesis, "MAX_REPLY_SECONDS", 0.5)
            assert speaker.voices("en") == [Voice("en")]
            with pytest.raises(DataError, match="crashed or hung"):
                speaker.say("a", Voice("en"))
        monkeypatch.setattr(synthesis, "MAX_REPLY_SECONDS", 60.0)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 80])
def test_checking_voices_are_others(count: int) -> None:
    voices = [Voice(language, f"v{k}") for language in ("en", "en-us") for k in range(count)]
    train, held_out = divided_voices(voices, 0.1)
    assert train and held_out
    if count > 1:
        assert not {v.variant for v in train} & {v.variant for v in held_out}
        assert len(train) + len(held_out) == len(voices) and len(held_out) < len(train) + 2
    assert divided_voices([Voice("en")], 0.1) == ([Voice("en")], [Voice("en")])
