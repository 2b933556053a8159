"""`elman dictate`: live text in a terminal, subtitles, and words for another program."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import elman
from audio_files import save
from command_line import Call
from elman.cli import dictate
from elman.data.audio import microphone, voice
from saved_models import SAVED
from tones import RATE, sentence

MODEL = str(SAVED / "transcribe")
SAID = sentence("one two", 5)


@pytest.fixture
def recording(tmp_path: Path) -> str:
    return str(save(tmp_path, "a.wav", SAID, RATE))


def raw() -> bytes:
    return (SAID * 2**15).astype("<i2").tobytes()


def test_a_recording_in_every_format(call: Call, recording: str) -> None:
    code, text, _ = call("dictate", MODEL, recording)
    assert code == 0 and text.split() == ["one", "two"]
    rows = [
        json.loads(line) for line in call("dictate", MODEL, recording, "--format", "json")[1].splitlines()
    ]
    assert [row["text"] for row in rows] == ["one", "two"] and rows[0]["end"] <= rows[1]["start"]
    assert call("dictate", MODEL, recording, "--format", "srt")[1].startswith("1\n00:00:00,")
    assert call("dictate", MODEL, recording, "--format", "vtt")[1].startswith("WEBVTT\n\n00:00:00.")


def test_words_without_a_voice_are_left_out(
    call: Call, recording: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice.VoiceActivity, "heard", lambda self, start, end: start > 0)
    assert call("dictate", MODEL, recording, "--vad")[1].split() == ["two"]
    assert call("predict", MODEL, recording, "--vad")[1].split() == ["two"]


def test_a_pipe_of_samples(call: Call) -> None:
    assert call("dictate", MODEL, "-", "--rate", "8000", stdin=raw())[1].split() == ["one", "two"]
    code, _, err = call("dictate", MODEL, "-", stdin=raw())
    assert code == 2 and "give its rate" in err


def test_a_terminal_shows_what_may_change(
    call: Call, recording: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    heard = iter([dictate.Heard([], "on"), dictate.Heard([], "one"), dictate.Heard([], "one")])
    monkeypatch.setattr(dictate, "_heard", lambda stream, blocks: heard)
    monkeypatch.setattr(dictate.sys, "stdout", SimpleNamespace(isatty=lambda: True, **_passed(sys.stdout)))
    out = call("dictate", MODEL, recording)[1]
    assert out.count("one") == 1 and dictate.DIM in out and out.index("on") < out.index("one")


def _passed(stream: object) -> dict[str, object]:
    return {
        name: getattr(stream, name)
        for name in ("write", "flush", "encoding", "reconfigure")
        if hasattr(stream, name)
    }


def test_words_are_typed_by_another_program(call: Call, recording: str, tmp_path: Path) -> None:
    program = f"{sys.executable} -c \"open('typed','ab').write(open(0,'rb').read())\""
    assert call("dictate", MODEL, recording, "--type", program)[0] == 0
    assert (tmp_path / "typed").read_text() == "one two "
    code, _, err = call("dictate", MODEL, recording, "--type", "no-such-program")
    assert code == 2 and "--type: 'no-such-program' can't be run" in err
    code, _, err = call("dictate", MODEL, recording, "--type", f"{sys.executable} -c 'exit(3)'")
    assert code == 2 and "ended with the exit code 3" in err


def test_the_microphone(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def blocks(rate: int, device: str | int | None = None) -> list[np.ndarray]:
        asked.append((rate, device))
        return [SAID]

    monkeypatch.setattr(microphone, "microphone_blocks", blocks)
    assert call("dictate", MODEL)[1].split() == ["one", "two"]
    assert call("dictate", MODEL, "--device", "3")[1].split() == ["one", "two"]
    assert asked == [(RATE, None), (RATE, 3)]


def test_ctrl_c_keeps_the_last_words(capsys: pytest.CaptureFixture[str]) -> None:
    stream = SimpleNamespace(push=lambda _: [], tentative="on", finish=lambda: ["one"])

    def blocks() -> object:
        yield SAID
        raise KeyboardInterrupt

    heard = dictate._heard(stream, blocks())  # type: ignore[arg-type]
    assert next(heard).tentative == "on" and next(heard).words == ["one"]
    with pytest.raises(KeyboardInterrupt):
        next(heard)


def test_ctrl_c_ends_the_command_with_the_last_words() -> None:
    command = [sys.executable, "-m", "elman", "dictate", MODEL, "-", "--rate", str(RATE)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload]
        process.stdin.write(raw()[: -2 * int(0.15 * RATE)])  # "two" may go on
        process.stdin.flush()
        assert process.stdout.read(3) == b"one"
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(60) == 128 + signal.SIGINT
        finally:
            process.kill()
        assert process.stdout.read() == b" two\n" and process.stderr.read() == b""


def test_phrases_from_a_file(call: Call, recording: str, tmp_path: Path) -> None:
    (tmp_path / "phrases.txt").write_text("two\n\nthree\n")
    assert set(call("dictate", MODEL, recording, "--phrases", "phrases.txt")[1].split()) <= {"two", "three"}
    (tmp_path / "empty.txt").write_text("\n")
    code, _, err = call("dictate", MODEL, recording, "--hot-words", "empty.txt")
    assert code == 2 and "empty.txt is empty" in err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--format", "mp3"], "--format must be one of text, srt, vtt, json"),
        (["nowhere.wav"], "nowhere.wav"),
        (["a.wav", "--device", "1"], "--device names a microphone"),
        (["a.wav", "--pause", "-1"], "pause must be a number of seconds"),
        (["a.wav", "--false-alarms", "1"], "trained with phrases"),
    ],
)
def test_a_wrong_call_is_one_sentence(call: Call, recording: str, arguments: list[str], problem: str) -> None:
    code, out, err = call("dictate", MODEL, *arguments)
    assert code == 2 and out == "" and problem in err and err.count("\n") == 1
    code, _, err = call("dictate", str(SAVED / "classify"), recording)
    assert code == 2 and "not a transcriber" in err


def test_predict_and_evaluate(call: Call, recording: str, tmp_path: Path) -> None:
    assert call("predict", MODEL, recording)[1] == "one two\n"
    assert call("predict", MODEL, "-", "--rate", "8000", stdin=raw())[1] == "one two\n"
    answer = json.loads(call("predict", MODEL, recording, "--json")[1])
    assert answer["text"] == "one two" and len(answer["words"]) == 2
    folder = tmp_path / "said"
    save(folder, "one_1.wav", sentence("one", 1), RATE)
    out = call("evaluate", MODEL, str(folder), "--pattern", "{label}_{n}.wav", "--json")[1]
    assert json.loads(out)["recordings"] == 1


def test_a_model_of_ready_frames_hears_nothing(call: Call, recording: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [{"frames": rng.normal(size=(30, 3)), "text": text} for text in ("one", "two") * 5]
    model = elman.Transcriber.fit(rows, live=True, hidden=4, front=4, epochs=1, progress=False)
    model.save(tmp_path / "model")
    code, _, err = call("dictate", str(tmp_path / "model"), recording)
    assert code == 2 and "was trained on precomputed frames" in err
    np.save(tmp_path / "a.npy", rows[0]["frames"])
    assert call("predict", str(tmp_path / "model"), str(tmp_path / "a.npy"))[0] == 0
    code, _, err = call("predict", str(tmp_path / "model"), recording)
    assert code == 2 and "holds no precomputed frames" in err
    language = str(SAVED / "generate")
    code, _, err = call("predict", MODEL, recording, "--language-model", language)
    assert code == 2 and "language model" in err
