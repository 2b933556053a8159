"""Training: the features, the labels and the network; then, on held-out recordings, how words are found."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any, Final

import torch
from torch import Tensor

from elman.data.audio.files import native_rate
from elman.data.audio.frames import Frames
from elman.data.audio.normalise import Normaliser
from elman.data.audio.recordings import Recordings
from elman.data.batches import HELD_OUT_SHARE, split_groups
from elman.errors import DataError, TrainingError, UsageError
from elman.lens.watching import Watcher
from elman.tasks.evaluation import sample_rows, training_notes
from elman.tasks.settings import split_choices
from elman.tasks.task import network_phrase
from elman.tasks.transcribe.baseline import Templates
from elman.tasks.transcribe.confidence import Confidence
from elman.tasks.transcribe.decoder import FUSED, Decoder, Lexicon, Weights
from elman.tasks.transcribe.examples import EDGE_FRAMES, Utterances, together
from elman.tasks.transcribe.features import Features, features_of, with_edges
from elman.tasks.transcribe.fusion import LanguageWords
from elman.tasks.transcribe.network import TranscriberNet
from elman.tasks.transcribe.problem import SpeechProblem
from elman.tasks.transcribe.recogniser import log_probabilities, words_of
from elman.tasks.transcribe.scores import SpeechEvaluation, all_right, edits
from elman.tasks.transcribe.settings import FRAME_MS, MAX_STRIDE, RATES, STRIDES, Facts, Settings, defaults
from elman.tasks.transcribe.text import Alphabet, Word, fitting, spoken
from elman.training.budget import Trial, run_in_time, smaller
from elman.training.loop import Run
from elman.training.progress import watch

PEEKED: Final = 20  # recordings whose rate is looked at
MIN_SPEAKERS: Final = 10  # from which on whole speakers are held out
SHORT_FRAMES: Final = 150  # a median below that, of recordings of words that are labels, has them joined
MIN_REPEATS: Final = 5
ROOMY_SHARE: Final = 0.99
SLACK: Final = 1.25  # steps for each that the labels of a recording need
INTERRUPTED_RECORDINGS: Final = 50  # transcribed for the scores of an interrupted training
MAX_TRIED: Final = 200  # recordings on which the n-gram is tried
MAX_TRIED_FUSED: Final = 50  # likewise, a language model, which takes longer
WEIGHTS: Final = (0.0, 0.4, 0.8, 1.2)  # of the language model, tried on held-out recordings
BONUSES: Final = (0.0, 1.5, 3.0)
MAX_OTHERS: Final = 100  # recordings of other speech on which the best network is chosen
NONE: Final = Utterances([], [], [])


@dataclass(frozen=True, eq=False)
class Corpus:
    """Recordings as features and spoken texts, divided."""

    settings: Settings  # of the features
    train: Utterances
    held_out: Utterances
    alphabet: Alphabet
    source: dict[str, Any]
    # other speech: for the training, where words of phrases are written, and held out, where none is said
    others: tuple[Utterances, Utterances] = (NONE, NONE)
    phrases: tuple[str, ...] = ()  # all that is to be recognised; none: anything

    def defaults(self, choices: Mapping[str, Any]) -> dict[str, Any]:
        lengths = sorted(map(len, self.train.features))
        typical = lengths[len(lengths) // 2] * self.settings.frame_ms / FRAME_MS
        short = self.alphabet.unit == "word" and typical < SHORT_FRAMES
        s = self.settings
        facts = Facts(self.alphabet.unit, s.input, s.rate, s.bins, self.stride, short)
        return defaults(len(lengths), choices, facts)

    @property
    def stride(self) -> int:
        """The longest stride at which nearly all recordings have room for their labels."""
        longest = MAX_STRIDE * FRAME_MS / self.settings.frame_ms
        for stride in sorted((one for one in STRIDES if one <= longest), reverse=True):
            room = [
                fitting(ids, int(len(features) / (SLACK * stride)))
                for features, ids in zip(self.train.features, self.train.ids, strict=True)
            ]
            if sum(room) >= ROOMY_SHARE * len(room):
                return stride
        return 1


@dataclass(frozen=True, eq=False)
class Trained:
    network: TranscriberNet
    settings: Settings
    normaliser: Normaliser
    decoder: Decoder
    confidence: Confidence
    baseline: Templates
    validation: SpeechEvaluation
    failure: TrainingError | None
    run: Run
    alarms: list[list[Word]]  # words heard in the held-out recordings of other speech


def read_corpus(recordings: Recordings, valid: Recordings | None, choices: Mapping[str, Any]) -> Corpus:
    """Compute the features of all recordings. Raises DataError where there is nothing to learn from."""
    settings, plan = split_choices(dict(choices), Settings)
    settings = of_input(settings, recordings, choices)
    used, features = features_of(settings).load(recordings)
    texts = [spoken(text) for text in used.texts]
    require_texts(texts, used)
    if valid is None:
        train, held_out = divided(used, texts, plan.seed)
    else:
        train, held_out = list(range(len(texts))), []
    alphabet = Alphabet.of([texts[row] for row in train], choices.get("unit"))
    learned = utterances([features[row] for row in train], [texts[row] for row in train], alphabet)
    if valid is not None:
        checked = to_check(valid, features_of(settings), alphabet)
    else:
        checked = utterances([features[row] for row in held_out], [texts[row] for row in held_out], alphabet)
    source = {"source": used.name, "rows": len(used), "fingerprint": used.fingerprint}
    return Corpus(settings, learned, checked, alphabet, source)


def of_input(settings: Settings, recordings: Recordings, choices: Mapping[str, Any]) -> Settings:
    """Return the settings of the features that these recordings have. Raises UsageError for others."""
    kind = "frames" if recordings.of_frames else "audio"
    if choices.get("input", kind) != kind:
        raise UsageError(f"input={settings.input!r}, but {recordings.name} holds {kind}: leave it out")
    if kind == "frames":
        width = settings.bins if "bins" in choices else recordings.features
        return replace(settings, input=kind, bins=width)
    if "frame_ms" in choices:
        raise UsageError("frame_ms applies only to precomputed frames; frames of sound are 10 ms apart")
    return replace(settings, rate=settings.rate if "rate" in choices else usual_rate(recordings))


def to_check(valid: Recordings, of: Features, alphabet: Alphabet) -> Utterances:
    """Return recordings on which the best network is to be chosen."""
    used, features = of.load(valid)
    texts = [spoken(text) for text in used.texts]
    require_texts(texts, used)
    return utterances(features, texts, alphabet)


def usual_rate(recordings: Recordings) -> int:
    """Return the rate of the features: the lowest that keeps all that these recordings hold."""
    step = max(len(recordings) // PEEKED, 1)
    rates = [0]
    for one in recordings.all[::step]:
        assert not isinstance(one.audio, Frames)
        try:
            rates.append(native_rate(one.audio, one.name))
        except DataError:
            continue  # `load` will say so
    return next((rate for rate in RATES if max(rates) <= rate), RATES[-1])


def require_texts(texts: Sequence[str], recordings: Recordings) -> None:
    for text, recording in zip(texts, recordings.all, strict=True):
        if not text:
            problem = f"its text {recording.text[:40]!r} holds no letter or digit; write what is said"
            raise DataError(f"{recording.name}: {problem}.")


def divided(recordings: Recordings, texts: Sequence[str], seed: int) -> tuple[list[int], list[int]]:
    """Return the rows of training and of held-out recordings: of other speakers, where there are many."""
    speakers = [one.speaker for one in recordings.all]
    if None not in speakers and len(set(speakers)) >= MIN_SPEAKERS:
        return split_groups(speakers, HELD_OUT_SHARE, seed, name=recordings.name)
    # of texts that are said again and again, each is held out now and then
    repeated = len(set(texts)) * MIN_REPEATS <= len(texts)
    return split_groups(
        range(len(texts)), HELD_OUT_SHARE, seed, list(texts) if repeated else None, name=recordings.name
    )


def utterances(features: Sequence[Tensor], texts: Sequence[str], alphabet: Alphabet) -> Utterances:
    """Return recordings with their labels. What held-out texts have that no label writes is an error in the
    scores, which no network could avoid."""
    return Utterances(list(features), [alphabet.known(text) for text in texts], list(texts))


def train(
    corpus: Corpus,
    choices: Mapping[str, Any],
    identity: Mapping[str, Any],
    started: float,
    language: LanguageWords | None = None,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> Trained:
    """Train on a corpus; `choices` are fields of `Settings` and `Plan`, and `identity` says which data they
    are, for a run that is resumed. `minutes` counts from `started`, in seconds of `time.monotonic`. At the
    end, the weights of a `language` model are chosen."""
    normaliser = Normaliser.fit(corpus.train.features)
    features = features_of(corpus.settings, normaliser.deviation)
    others, others_held_out = corpus.others
    others_held_out = others_held_out.take(sample_rows(len(others_held_out), MAX_OTHERS, "recording")[0])

    def trial(size: Mapping[str, Any]) -> Trial:
        own = dict(choices) | dict(size)
        settings, plan = split_choices(own, Settings, corpus.defaults(own))
        torch.manual_seed(plan.seed)
        network = TranscriberNet(settings, settings.bins, len(corpus.alphabet))
        training, held_out = together(corpus.train, others), together(corpus.held_out, others_held_out)
        problem = SpeechProblem(
            *(training, held_out, normaliser, plan, features, settings.joined, settings.augment),
            durations=corpus.alphabet.durations,
            others=len(others),
        )
        return Trial(network, problem, plan, settings)

    settings, plan = split_choices(dict(choices), Settings, corpus.defaults(choices))
    sizes = smaller({"hidden": settings.hidden, "front": settings.front}, dict(choices))
    run, (network, _, plan, settings) = run_in_time(
        trial,
        plan.minutes,
        started,
        sizes,
        identity,
        folder=folder,
        resume=resume,
        progress=progress,
        inspector=Watcher("ms", 1000 * settings.stride * features.seconds),
    )
    outcome = watch(run, progress, "network", network_phrase(settings))
    run.require_model()
    network.eval().cpu()
    notes = training_notes(outcome, plan, choices)
    if outcome.signal is not None:
        some, note = sample_rows(len(corpus.held_out), INTERRUPTED_RECORDINGS, "recording")
        corpus, notes = replace(corpus, held_out=corpus.held_out.take(some)), notes + note
    decoder, confidence, baseline, scores, alarms = scored(
        corpus, network, settings, normaliser, features, notes, language
    )
    return Trained(
        network, settings, normaliser, decoder, confidence, baseline, scores, outcome.error, run, alarms
    )


def scored(
    corpus: Corpus,
    network: TranscriberNet,
    settings: Settings,
    normaliser: Normaliser,
    features: Features,
    notes: tuple[str, ...],
    language: LanguageWords | None = None,
) -> tuple[Decoder, Confidence, Templates, SpeechEvaluation, list[list[Word]]]:
    """Return how words are found and how sure they are, chosen on the held-out recordings; the scores; and
    what is heard in other speech."""
    started, truths = monotonic(), corpus.held_out.texts
    held_out = corpus.held_out.features
    log_probs = log_probabilities(network, [normaliser(with_edges(one, features)) for one in held_out])
    computing = monotonic() - started
    plain = Decoder(corpus.alphabet, Lexicon.of(corpus.train.texts), None, settings.beam_width)
    decoder = plain.of_phrases(corpus.phrases) if corpus.phrases else best_decoder(plain, log_probs, truths)
    if decoder.weights is None:  # the model need not hold what was said in its training
        decoder = replace(decoder, lexicon=Lexicon.of([]))
    if language is not None:
        decoder = replace(decoder, fused_weights=fused_weights(decoder, language, log_probs, truths))
    started, step, start = monotonic(), settings.stride * features.seconds, -EDGE_FRAMES * features.seconds
    answers = [words_of(decoder.tokens(one), decoder, Confidence(), step, start) for one in log_probs]
    computing += monotonic() - started
    others = [normaliser(with_edges(one, features)) for one in corpus.others[1].features]
    other_probs = log_probabilities(network, others)
    alarms = [words_of(decoder.tokens(one), decoder, Confidence(), step, start) for one in other_probs]
    raw = [word.confidence for words in [*answers, *alarms] for word in words]
    right = all_right([*answers, *alarms], [*truths, *[""] * len(alarms)])
    confidence = Confidence.fit(raw, right, decoder.edge)
    answers, alarms = (
        [[w._replace(confidence=confidence.of(w.confidence, decoder.edge)) for w in words] for words in each]
        for each in (answers, alarms)
    )
    baseline = Templates.of(corpus.train.texts, corpus.train.features, normaliser)
    plain_texts = [baseline.answer(normaliser(one)) for one in held_out]
    seconds = sum(map(len, held_out)) * features.seconds
    evaluation = SpeechEvaluation.of(answers, truths, {baseline.name: plain_texts}, seconds, computing, notes)
    return decoder, confidence, baseline, evaluation, alarms


def best_decoder(plain: Decoder, log_probs: Sequence[Tensor], truths: Sequence[str]) -> Decoder:
    """Return the decoder with the fewest word errors; the plain one, unless another has fewer."""
    candidates = [plain]
    if len(plain.lexicon.ids) > 2 * len(plain.lexicon.words) and plain.lexicon.says_sentences:
        pairs = itertools.product(WEIGHTS, BONUSES)
        candidates += [replace(plain, weights=Weights(weight, bonus)) for weight, bonus in pairs]
    return candidates[fewest_errors(candidates, log_probs, truths, MAX_TRIED)]


def fused_weights(
    decoder: Decoder, language: LanguageWords, log_probs: Sequence[Tensor], truths: Sequence[str]
) -> Weights:
    """Return the weights with which a language model makes the fewest word errors; those that it has by
    default, unless others make fewer."""
    pairs = itertools.product(WEIGHTS[1:], BONUSES)
    weights = [FUSED, *(Weights(weight, bonus) for weight, bonus in pairs)]
    candidates = [replace(decoder, fused=language, weights=one) for one in weights]
    return weights[fewest_errors(candidates, log_probs, truths, MAX_TRIED_FUSED)]


def fewest_errors(
    candidates: Sequence[Decoder], log_probs: Sequence[Tensor], truths: Sequence[str], most: int
) -> int:
    """Return which decoder makes the fewest word errors on `most` recordings, the first of equals."""
    some, _ = sample_rows(len(truths), most, "recording")
    tried, said = [log_probs[row] for row in some], [truths[row] for row in some]
    errors = [word_errors(decoder, tried, said) for decoder in candidates]
    return min(range(len(candidates)), key=errors.__getitem__)


def word_errors(decoder: Decoder, log_probs: Sequence[Tensor], truths: Sequence[str]) -> int:
    texts = (decoder.alphabet.decode(token.token for token in decoder.tokens(one)) for one in log_probs)
    return sum(edits(text.split(), truth.split()) for text, truth in zip(texts, truths, strict=True))
