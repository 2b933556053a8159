"""A list of phrases → a corpus in synthesised voices, with other speech that holds none of them, and with
recordings of the user's own."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from elman.data.audio.augment import bend, blur
from elman.data.audio.made_up import Studio, made_up_texts, mixed_texts
from elman.data.audio.recordings import Recordings
from elman.data.audio.synthesis import EspeakNG, Speaker, Voice, divided_voices
from elman.data.table.encoding import clean
from elman.data.table.formats import read_bytes
from elman.errors import DataError, ElmanError, UsageError, counted
from elman.tasks.settings import split_choices
from elman.tasks.transcribe.examples import Utterances, together
from elman.tasks.transcribe.features import Sound, features_of, with_edges
from elman.tasks.transcribe.recogniser import log_probabilities, words_of
from elman.tasks.transcribe.scores import SpeechEvaluation
from elman.tasks.transcribe.settings import Settings
from elman.tasks.transcribe.spotting import USUAL_RATE, Spotting
from elman.tasks.transcribe.text import Alphabet, spoken
from elman.tasks.transcribe.train import Corpus, Trained, divided, to_check, usual_rate, utterances
from elman.training.stderr import say

LANGUAGE: Final = "en"
MAX_PHRASES, MAX_CHARACTERS = 1_000, 200
RECORDINGS: Final = 2_000  # of all phrases together
MIN_EACH, MAX_EACH = 12, 200  # recordings of a phrase
HELD_OUT_SHARE: Final = 0.1  # of as many again, in voices that training does not hear
OTHER_SHARE, NOISE_SHARE = 1.0, 0.1  # of as many again: other speech, and how much of that is noise alone
MIXED_SHARE: Final = 0.4  # of other speech: words of phrases, in other orders and among words of no phrase
OTHER_HELD_OUT: Final = 2_000  # recordings of other speech, an hour, to count false alarms in
ADAPTED_SHARE: Final = 1 / 3  # of the training that the user's own recordings make up
MAX_REPEATS: Final = 50
PART_FRAMES, LENGTHS = 12, 1.8  # frames of a part whose sounds all last longer or shorter, and how much
PARTS, RESONANCES = 6, 1.35  # parts of the filters in which resonances move, and how much
BLUR: Final = 0.8  # of the power of a filter that comes from its neighbours, at most
MIN_ADAPTED: Final = 50  # of the user's own recordings, from which on some are held out


@dataclass(frozen=True)
class Phrases:
    """What a model is to recognise.

    Attributes:
        name: of the list, in messages.
        written: each phrase as a voice reads it out.
        texts: each as it is learned and answered (`spoken`).
    """

    name: str
    written: tuple[str, ...]
    texts: tuple[str, ...]

    @classmethod
    def of(cls, phrases: Any) -> "Phrases":
        """Read a list of phrases, or a file with a phrase a line. Raises UsageError or DataError for one that
        can't be said, is too long, or if there are none or too many."""
        error: type[ElmanError]
        if isinstance(phrases, str | Path):
            lines = clean(read_bytes(Path(phrases)), str(phrases)).decode().splitlines()
            name, error = str(phrases), DataError
            numbered = [(f"{name}, line {k}", line) for k, line in enumerate(lines, 1) if line.strip()]
        else:
            name, error = "phrases", UsageError
            if not isinstance(phrases, Sequence) or not all(isinstance(one, str) for one in phrases):
                raise UsageError("phrases must be a list of texts, or the path of a file of them")
            numbered = [(f"phrases[{k}]", phrase) for k, phrase in enumerate(phrases)]
        if not 1 <= len(numbered) <= MAX_PHRASES:
            raise error(f"{name} holds {len(numbered):,} phrases; give 1 to {MAX_PHRASES:,}")
        kept = dict[str, str]()
        for where, phrase in numbered:
            written = " ".join("".join(c if c.isprintable() else " " for c in phrase).split())
            if len(written) > MAX_CHARACTERS:
                raise error(f"{where} has {len(written):,} characters; a phrase has {MAX_CHARACTERS} at most")
            if not spoken(written):
                raise error(f"{where}: {written[:40]!r} holds no letter or digit; write what is said")
            kept.setdefault(spoken(written), written)
        return cls(name, tuple(kept.values()), tuple(kept))

    def inside(self, text: str) -> bool:
        """Whether the text holds one of the phrases."""
        return any(f" {phrase} " in f" {text} " for phrase in self.texts)

    @property
    def each(self) -> int:
        """How many recordings of each there are to be."""
        return min(max(RECORDINGS // len(self.texts), MIN_EACH), MAX_EACH)

    @property
    def each_held_out(self) -> int:
        """How many more of each there are to be, in voices that training does not hear."""
        return max(round(HELD_OUT_SHARE * self.each), 2)


def phrase_corpus(
    phrases: Phrases,
    language: str,
    adapt: Recordings | None,
    valid: Recordings | None,
    choices: Mapping[str, Any],
    progress: bool = False,
) -> Corpus:
    """Return recordings of phrases as features and labels.

    Args:
        language: of the voices.
        adapt: recordings of the phrases to add; their weight is ADAPTED_SHARE.
        valid: recordings to choose the best network on; None: other voices, and some of `adapt`.
        choices: settings that the user has chosen.
        progress: whether to print how many recordings are made, as that takes a while.

    Raises DataError for a phrase that can't be said or a recording that holds something else, UsageError for
    a language without voices, or if there is no speech synthesis.
    """
    settings, plan = split_choices(dict(choices), Settings)
    settings = sound_settings(settings, adapt, choices)
    sound = Sound(settings.rate, settings.bins)
    alphabet = Alphabet.of(list(phrases.texts) * phrases.each, choices.get("unit"))
    own = None if adapt is None else _adapted(adapt, sound, alphabet, plan.seed)
    checked = None if valid is None else to_check(valid, sound, alphabet)
    with EspeakNG() as speaker:
        voices, other_voices = divided_voices(speaker.voices(language), HELD_OUT_SHARE)
        maker = _Maker(phrases, speaker, sound, alphabet, plan.seed)
        each, count = (phrases.each, phrases.each_held_out), len(phrases.texts)
        other = round(OTHER_SHARE * each[0] * count)
        if progress:
            total = sum(each) * count + other + OTHER_HELD_OUT
            say(f"synthesising {total:,} recordings, of {counted(count, 'phrase')} and of other speech")
        train = maker.phrases(voices, each[0], 0)
        held_out = maker.phrases(other_voices, each[1], 1)
        others = maker.others(voices, other, 2)
        elsewhere = maker.others(other_voices, OTHER_HELD_OUT, 3, without=True)
    rows, fingerprint = len(train) + len(held_out), _fingerprint(train, held_out, others, elsewhere)
    if own is not None:
        learned, kept, used = own
        share = ADAPTED_SHARE / (1 - ADAPTED_SHARE) * len(train) / len(learned)
        train = together(train, *[learned] * min(max(round(share), 1), MAX_REPEATS))
        held_out = together(held_out, kept)
        rows, fingerprint = rows + len(used), f"{fingerprint}{used.fingerprint}"
    source = {"source": phrases.name, "rows": rows, "fingerprint": fingerprint}
    return Corpus(settings, train, checked or held_out, alphabet, source, (others, elsewhere), phrases.texts)


def sound_settings(settings: Settings, adapt: Recordings | None, choices: Mapping[str, Any]) -> Settings:
    """Return the settings of the features. Raises UsageError for ready frames, and DataError for recordings
    that are such."""
    if settings.input != "audio" or "frame_ms" in choices:
        raise UsageError("phrases are learned from sound: leave out the settings of precomputed frames")
    if adapt is None or "rate" in choices:
        return settings
    if adapt.of_frames:
        raise DataError(f"{adapt.name} names precomputed frames; phrases are learned from sound.")
    return replace(settings, rate=usual_rate(adapt))


def spotted(corpus: Corpus, trained: Trained) -> tuple[Spotting | None, SpeechEvaluation]:
    """Return the false alarms of a model of phrases in speech that holds none of them, and its scores with
    their number and with the share of the phrases that it misses where they are few."""
    if not corpus.phrases:
        return None, trained.validation

    sound, decoder = features_of(trained.settings), trained.decoder
    hours = sum(map(len, corpus.others[1].features)) * sound.seconds / 3600
    spotting = Spotting.measure(corpus.phrases, trained.alarms, hours)
    rows = [row for row, text in enumerate(corpus.held_out.texts) if text in corpus.phrases]
    said = corpus.held_out.take(rows)
    each = [trained.normaliser(with_edges(features, sound)) for features in said.features]
    log_probs, step = log_probabilities(trained.network, each), trained.settings.stride * sound.seconds
    heard = [words_of(decoder.tokens(one), decoder, trained.confidence, step) for one in log_probs]
    missed = spotting.missed(heard, said.texts, spotting.threshold(USUAL_RATE))
    scores = trained.validation.scores | {"false_alarms": len(spotting.alarms) / hours, "missed": missed}
    note = f"with false_alarms={USUAL_RATE:g}, {1 - missed:.0%} of held-out phrases are still heard"
    notes = (*trained.validation.notes, note)
    return spotting, replace(trained.validation, scores=scores, notes=notes)


@dataclass(frozen=True)
class _Maker:
    """Makes parts of a corpus."""

    of: Phrases
    speaker: Speaker
    sound: Sound
    alphabet: Alphabet
    seed: int

    def phrases(self, voices: Sequence[Voice], each: int, part: int) -> Utterances:
        written, texts = list(self.of.written) * each, list(self.of.texts) * each
        return self._utterances(voices, written, texts, part)

    def others(self, voices: Sequence[Voice], count: int, part: int, without: bool = False) -> Utterances:
        """Return other speech: noise, words that do not exist, and words of phrases among such words, in
        other orders; of the phrases' words all are written. `without`: nowhere a phrase as a whole."""
        draw = np.random.default_rng([self.seed, part])
        words = sorted({word for text in self.of.texts for word in text.split()})
        mixed = mixed_texts(round(MIXED_SHARE * count), words, draw)
        if without:
            mixed = [(text, held) for text, held in mixed if not self.of.inside(held)]
        noise = round(NOISE_SHARE * count)
        made_up = made_up_texts(count - noise - len(mixed), set(words), draw)
        written = [*(text for text, _ in mixed), *[""] * noise, *made_up]
        return self._utterances(
            voices, written, [*(held for _, held in mixed), *[""] * (count - len(mixed))], part
        )

    def _utterances(
        self, voices: Sequence[Voice], written: Sequence[str], texts: Sequence[str], part: int
    ) -> Utterances:
        studio = Studio(self.speaker, voices, self.sound.rate, self.seed)
        generator = torch.Generator().manual_seed(self.seed + part)
        features = [
            uneven(self.sound.bank.features(samples), generator)
            for samples in studio.recordings(written, part)
        ]
        return utterances(features, texts, self.alphabet)


def uneven(features: Tensor, generator: torch.Generator) -> Tensor:
    """Return the features (frames, features) of a voice less regular than a synthesised one: its sounds last
    longer or shorter, its resonances lie higher or lower and are wider, each for itself."""
    parts = max(round(len(features) / PART_FRAMES), 1)
    features = bend(features, parts, LENGTHS, generator)
    features = bend(features.T, PARTS, RESONANCES, generator).T
    return blur(features, BLUR * float(torch.rand((), generator=generator))).contiguous()


def _adapted(
    recordings: Recordings, sound: Sound, alphabet: Alphabet, seed: int
) -> tuple[Utterances, Utterances, Recordings]:
    """Return the user's own recordings for training, those that are held out, and all that can be used."""
    used, features = sound.load(recordings)
    texts = [spoken(text) for text in used.texts]
    for text, one in zip(texts, used.all, strict=True):
        if not text or alphabet.encode(text) is None:
            raise DataError(f"{one.name}: its text {one.text[:40]!r} holds words that no phrase has.")
    own = utterances(features, texts, alphabet)
    if len(used) < MIN_ADAPTED:
        return own, own.take([]), used
    train, held_out = divided(used, texts, seed)
    return own.take(train), own.take(held_out), used


def _fingerprint(*parts: Utterances) -> str:
    digest = hashlib.sha256()
    for part in parts:
        for features, text in zip(part.features, part.texts, strict=True):
            digest.update(features.numpy().tobytes() + text.encode() + b"\0")
    return digest.hexdigest()
