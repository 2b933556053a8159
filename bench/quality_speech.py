"""Speech recognition on public recordings (variable ELMAN_DATA), through the public API with its defaults.

The test recordings are scored once, at the end; the best network is chosen on a tenth of the others.

    ELMAN_DATA=... python bench/quality_speech.py                # all
    ELMAN_DATA=... python bench/quality_speech.py fsdd digit_strings

PocketSphinx (extra `bench`) stands beside where a vocabulary or a grammar can be given: with the US-English
model and, for open speech, the language model of its wheel.
"""

import csv
import itertools
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

import elman
from elman.data.audio.made_up import Studio
from elman.data.audio.read import read_audio
from elman.data.audio.synthesis import EspeakNG, divided_voices
from elman.tasks.transcribe.phrases import HELD_OUT_SHARE
from elman.tasks.transcribe.scores import error_scores
from elman.tasks.transcribe.text import Word, spoken
from sphinx import Sphinx

Samples = NDArray[np.float32]
SEEDS: Final = (0, 1, 2)
RATE: Final = 8000
DIGITS: Final = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
STRINGS: Final = 200
PAUSES, SNR = (0.1, 0.5), 20.0  # seconds around digits of a string; dB of its white noise
PUSH_SECONDS: Final = 0.1
ADAPTED: Final = 5  # real recordings of each digit that are added to synthesised ones
COMMANDS: Final = [
    *("turn on the light", "turn off the light", "next song", "stop the music"),
    *("volume up", "volume down", "open the door", "what time is it"),
]
SAID: Final = 25  # synthesised recordings of each of them
ALARMS: Final = (1.0, 10.0, 1e6)  # false alarms an hour that are asked for; so many need no threshold


class Clip(NamedTuple):
    path: Path
    digit: str
    speaker: str
    index: int


def clips() -> list[Clip]:
    """The Free Spoken Digit Dataset: 3,000 recordings of six speakers, named digit_speaker_index.wav."""
    folder = Path(os.environ["ELMAN_DATA"]) / "speech" / "fsdd"
    paths = sorted(folder.rglob("*.wav"))
    parts = [path.stem.split("_") for path in paths]
    return [Clip(p, DIGITS[int(d)], s, int(n)) for p, (d, s, n) in zip(paths, parts, strict=True)]


def table(chosen: Sequence[Clip]) -> list[dict[str, Any]]:
    return [{"audio": str(clip.path), "text": clip.digit, "speaker": clip.speaker} for clip in chosen]


def fsdd(**settings: Any) -> dict[str, Any]:
    """The official split: indices 0 to 4 of each digit and speaker are the test."""
    train, test = official()
    runs = []
    for seed in SEEDS:
        started = time.monotonic()
        model = elman.Transcriber.fit(table(train), seed=seed, progress=False, **settings)
        seconds = time.monotonic() - started
        runs.append((model.evaluate(table(test)), seconds))
    return summary(runs)


def fsdd_speakers(
    speakers: Sequence[str] | None = None, voices: bool = False, **settings: Any
) -> dict[str, Any]:
    """Each speaker in turn, or each of `speakers`, is the test, whom the network has never heard. `voices`:
    with the digits in synthesised voices added to the five others."""
    everything = clips()
    each, chosen = {}, {}
    for speaker in speakers or sorted({clip.speaker for clip in everything}):
        started = time.monotonic()
        train = table([clip for clip in everything if clip.speaker != speaker])
        data = {"phrases": DIGITS, "adapt": train, "rate": RATE} if voices else {"data": train}
        model = elman.Transcriber.fit(**data, progress=False, **settings)
        seconds = time.monotonic() - started
        test = [clip for clip in everything if clip.speaker == speaker]
        each[speaker] = model.evaluate(table(test)), seconds
        chosen[speaker] = one_of_the_digits(model, test)
        print(speaker, each[speaker][0].scores["exact"], chosen[speaker], seconds, file=sys.stderr)
    return {
        "speakers": {name: scored.scores["exact"] for name, (scored, _) in each.items()},
        "one of the digits": chosen,
        **summary(list(each.values())),
    }


def one_of_the_digits(model: Any, test: Sequence[Clip]) -> float:
    """Return the share of right answers where the model has to choose a digit."""
    answers = model.predict([str(clip.path) for clip in test], one_of=DIGITS)
    return statistics.mean(answer == clip.digit for answer, clip in zip(answers, test, strict=True))


def live(**settings: Any) -> dict[str, Any]:
    """Strings of three to eight test digits of one speaker, with pauses and noise, transcribed live; and, as
    "mixed", of different speakers, whose levels differ by up to 20 dB."""
    train, test = official()
    runs = []
    for seed in SEEDS:
        started = time.monotonic()
        model = elman.Transcriber.fit(table(train), live=True, seed=seed, progress=False, **settings)
        seconds = time.monotonic() - started
        runs.append(live_scores(model, strings(test)) | {"seconds": seconds})
        runs[-1]["mixed live WER"] = live_scores(model, strings(test, mixed=True))["live WER"]
        runs[-1]["single digits"] = model.evaluate(table(test)).scores["exact"]
    names = runs[0].keys()
    return {name: statistics.mean(run[name] for run in runs) for name in names} | {"seeds": len(SEEDS)}


def official() -> tuple[list[Clip], list[Clip]]:
    everything = clips()
    return [clip for clip in everything if clip.index >= 5], [clip for clip in everything if clip.index < 5]


class Spoken(NamedTuple):
    """A string of digits, and when each ends in it, in seconds."""

    samples: Samples
    text: str
    ends: list[float]


def strings(test: Sequence[Clip], mixed: bool = False) -> list[Spoken]:
    draw, each = random.Random(0), []
    for number in range(STRINGS):
        speaker = draw.choice(test).speaker
        own = [clip for clip in test if mixed or clip.speaker == speaker]
        chosen = [draw.choice(own) for _ in range(draw.randint(3, 8))]
        parts, ends, at = [], [], 0
        for clip in chosen:
            pause = np.zeros(int(RATE * draw.uniform(*PAUSES)), np.float32)
            samples = read_audio(clip.path, RATE)
            parts += [pause, samples]
            at += len(pause) + len(samples)
            ends.append(at / RATE)
        whole = np.concatenate([*parts, np.zeros(RATE // 2, np.float32)])
        power = float(np.mean(np.square(np.concatenate(parts[1::2]))))
        noise = np.random.default_rng(number).normal(size=len(whole)) * (power / 10 ** (SNR / 10)) ** 0.5
        each.append(Spoken((whole + noise).astype(np.float32), " ".join(c.digit for c in chosen), ends))
    return each


def live_scores(model: Any, spoken: Sequence[Spoken]) -> dict[str, float]:
    """Return the word error rate live and of whole recordings; how many differ; the seconds from a word's end
    to its commitment; the words that were shown after a push and then taken back, for each of the answers
    (see `retracted`); the share of last words that are lost where the sound stops as they end; and the
    seconds of processor time for a second of sound."""
    size, answers, whole, delays = int(RATE * PUSH_SECONDS), [], [], list[float]()
    computing = audio = 0.0
    taken_back = said = lost = 0
    for one in spoken:
        stream, words, times, shown = model.stream(rate=RATE), list[Word](), list[float](), list[list[str]]()
        for at in range(0, len(one.samples), size):
            started = time.process_time()
            new = stream.push(one.samples[at : at + size])
            computing += time.process_time() - started
            words += new
            times += [(at + size) / RATE] * len(new)
            shown.append([*(word.text for word in words), *stream.tentative.split()])
        started = time.process_time()
        rest = stream.finish()
        computing, audio = computing + time.process_time() - started, audio + len(one.samples) / RATE
        words, times = words + rest, times + [len(one.samples) / RATE] * len(rest)
        shown.append([word.text for word in words])
        taken_back, said = taken_back + retracted(shown), said + len(words)
        answers.append(" ".join(word.text for word in words))
        whole.append(model.predict(one.samples, rate=RATE))
        if answers[-1] == one.text:
            delays += [when - end for when, end in zip(times, one.ends, strict=True)]
        stopped = model.predict(one.samples[: int(RATE * one.ends[-1])], rate=RATE)
        lost += stopped.split()[-1:] != answers[-1].split()[-1:]
    truths = [one.text for one in spoken]
    return {
        "live WER": error_scores(answers, truths)["wer"] or 0.0,
        "whole WER": error_scores(whole, truths)["wer"] or 0.0,
        "live differs from whole": sum(a != b for a, b in zip(answers, whole, strict=True)),
        "median delay": statistics.median(delays) if delays else float("nan"),
        "95 % delay": sorted(delays)[int(0.95 * len(delays))] if delays else float("nan"),
        "retracted words": taken_back / max(said, 1),
        "tail loss": lost / len(spoken),
        "real-time factor": computing / audio,
    }


def retracted(shown: Sequence[Sequence[str]]) -> int:
    """Return how many words were taken back, given all words shown after each push. A last word that only
    grew counts as kept (Shangguan et al., arXiv:2006.01416)."""
    count = 0
    for before, after in itertools.pairwise(shown):
        gone = [word != new for word, new in itertools.zip_longest(before, after[: len(before)])]
        if gone and gone[-1] and len(after) >= len(before):
            gone[-1] = not after[len(before) - 1].startswith(before[-1])
        count += sum(gone)
    return count


def asterisk(**settings: Any) -> dict[str, Any]:
    """Telephone prompts of one speaker, an open vocabulary; each tenth is the test."""
    named = prompts()
    test = named[::10]
    started = time.monotonic()
    train = [row for k, row in enumerate(named) if k % 10]
    model = elman.Transcriber.fit(train, progress=False, **settings)
    seconds = time.monotonic() - started
    sphinx = error_scores(
        Sphinx().texts([row["audio"] for row in test]), [spoken(row["text"]) for row in test]
    )
    return summary([(model.evaluate(test), seconds)]) | {"PocketSphinx": sphinx}


def prompts() -> list[dict[str, str]]:
    folder = Path(os.environ["ELMAN_DATA"]) / "speech" / "asterisk_en"
    lines = (folder / "transcripts.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines[1:]]  # file, seconds, text
    paths = [(folder / name, text) for name, _, text in rows]
    return [{"audio": str(path), "text": text} for path, text in paths if path.exists()]


def phrases(own: int = 0, **settings: Any) -> dict[str, Any]:
    """The ten digits, learned from synthesised speech alone: real recordings, of 8 kHz, are the test. Beside
    it PocketSphinx with the digits as its grammar, which always answers; so the model has to choose a digit,
    too. `own`: real recordings of each digit that are added."""
    train, test = official()
    runs, chosen = [], list[float]()
    for seed in SEEDS:
        draw = random.Random(seed)
        adapt = [c for d in DIGITS for c in draw.sample([clip for clip in train if clip.digit == d], own)]
        started = time.monotonic()
        model = elman.Transcriber.fit(
            phrases=DIGITS, adapt=table(adapt) or None, rate=RATE, seed=seed, progress=False, **settings
        )
        seconds = time.monotonic() - started
        runs.append((model.evaluate(table(test)), seconds))
        chosen.append(one_of_the_digits(model, test))
    sphinx = Sphinx(DIGITS).texts([clip.path for clip in test])
    right = error_scores(sphinx, [clip.digit for clip in test])["exact"]
    return summary(runs) | {"one of the digits": chosen, "PocketSphinx": right}


def adapt(**settings: Any) -> dict[str, Any]:
    """The same with a few real recordings of each digit added."""
    return phrases(ADAPTED, **settings)


def spotting(**settings: Any) -> dict[str, Any]:
    """Commands of several words, learned from synthesised speech: what share of them is missed in synthesised
    voices that training does not hear, and the false alarms an hour in telephone prompts, real speech that
    holds none of them; both at thresholds for so many false alarms an hour."""
    with EspeakNG() as speaker:
        _, voices = divided_voices(speaker.voices("en"), HELD_OUT_SHARE)
        texts = COMMANDS * SAID
        said = list(Studio(speaker, voices, RATE, seed=1_000).recordings(texts, part=0))
    others = [row["audio"] for row in prompts() if not any(c in spoken(row["text"]) for c in COMMANDS)]
    hours = sum(len(read_audio(path, RATE)) for path in others) / RATE / 3600
    runs = []
    for seed in SEEDS:
        started = time.monotonic()
        model = elman.Transcriber.fit(phrases=COMMANDS, rate=RATE, seed=seed, progress=False, **settings)
        runs.append({"seconds": time.monotonic() - started, "hours of prompts": hours})
        for rate in ALARMS:
            heard = model.predict(said, RATE, words=True, false_alarms=rate)
            wrong = model.predict(others, words=True, false_alarms=rate)
            pairs = zip(texts, heard, strict=True)
            missed = sum(text not in [word.text for word in words] for text, words in pairs)
            runs[-1][f"missed at {rate:g}"] = missed / len(texts)
            runs[-1][f"alarms at {rate:g}"] = sum(map(len, wrong)) / hours
    return {name: statistics.mean(run[name] for run in runs) for name in runs[0]}


def an4(live: bool = False, **settings: Any) -> dict[str, Any]:
    """CMU AN4's published cepstra, its official split: with the n-gram of the training texts, which was
    weighed on held-out speakers, and without."""
    train, test = an4_rows("train"), an4_rows("test")
    started = time.monotonic()
    model = elman.Transcriber.fit(train, live=live, progress=False, **settings)
    seconds = time.monotonic() - started
    plain = replace(model, decoder=replace(model.decoder, weights=None))
    scores = {"with n-gram": model.evaluate(test).scores, "without": plain.evaluate(test).scores}
    return {
        **{f"{score} {how}": one[score] for how, one in scores.items() for score in ("wer", "cer")},
        "held-out wer": model.validation.scores["wer"],
        "weights": None if model.decoder.weights is None else asdict(model.decoder.weights),
        "seconds": round(seconds),
    }


def an4_live(**settings: Any) -> dict[str, Any]:
    return an4(live=True, **settings)


def an4_rows(part: str) -> list[dict[str, Any]]:
    folder = Path(os.environ["ELMAN_DATA"]) / "speech" / "an4_mfcc"
    with (folder / f"{part}.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    path = str(folder / f"{part}_mfcc13.npy")
    return [row | {"path": path, "speaker": row["id"].split("/")[1]} for row in rows]


def summary(runs: Sequence[tuple[Any, float]]) -> dict[str, Any]:
    """Return the means over runs of the scores, the baseline's and the seconds of training."""
    scores = {name: statistics.mean(s.scores[name] for s, _ in runs) for name in ("wer", "cer", "exact")}
    exact = [scored.scores["exact"] for scored, _ in runs]
    (name, _), *_ = runs[0][0].baselines.items()
    baseline = statistics.mean(scored.baselines[name]["wer"] for scored, _ in runs)
    seconds = statistics.mean(seconds for _, seconds in runs)
    return {**scores, "runs": exact, f"wer of {name}": baseline, "seconds": round(seconds)}


RUNS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "fsdd": fsdd,
    "fsdd_speakers": fsdd_speakers,
    "digit_strings": live,
    "asterisk": asterisk,
    "phrases": phrases,
    "adapt": adapt,
    "spotting": spotting,
    "an4": an4,
    "an4_live": an4_live,
}

if __name__ == "__main__":
    for chosen in sys.argv[1:] or RUNS:
        print(json.dumps({"figure": chosen} | RUNS[chosen]()), flush=True)
