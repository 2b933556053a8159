"""Speech to text: recordings, and live speech as it arrives."""

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, Final, TypedDict, final

import torch

from elman import artifact
from elman.data.audio.normalise import PRIOR_FRAMES, WINDOW_FRAMES, Normaliser
from elman.data.audio.recordings import read_recordings
from elman.data.audio.voice import VoiceActivity
from elman.errors import UsageError
from elman.lens.view import View
from elman.tasks.entry import entry, training_entry
from elman.tasks.inputs import looked_at
from elman.tasks.pool import Pool
from elman.tasks.settings import split_choices
from elman.tasks.task import MAX_NAMED, Card, Exported, Parts, Task, network_phrase
from elman.tasks.transcribe import look
from elman.tasks.transcribe.answers import Transcript, Transcripts
from elman.tasks.transcribe.baseline import Templates
from elman.tasks.transcribe.confidence import Confidence
from elman.tasks.transcribe.decoder import Decoder, Lexicon
from elman.tasks.transcribe.features import Features, features_of, with_edges
from elman.tasks.transcribe.fusion import LanguageWords, language_model_of
from elman.tasks.transcribe.inputs import read_inputs
from elman.tasks.transcribe.network import TranscriberNet
from elman.tasks.transcribe.one_of import OneOf
from elman.tasks.transcribe.phrases import LANGUAGE, Phrases, phrase_corpus, spotted
from elman.tasks.transcribe.recogniser import log_probabilities, transcribed, voiced
from elman.tasks.transcribe.scores import SpeechEvaluation, table_of
from elman.tasks.transcribe.settings import Settings
from elman.tasks.transcribe.spotting import Spotter, Spotting, SpottingStream
from elman.tasks.transcribe.steps import TranscriberSteps
from elman.tasks.transcribe.stream import Endpoint, TranscriberStream
from elman.tasks.transcribe.text import SPACE, Alphabet, Word, spoken, text_of
from elman.tasks.transcribe.train import read_corpus, require_texts, train
from elman.typed import typed

MAX_DEVIATION: Final = 1e6
KEPT_SECONDS: Final = 180.0  # of voice activity, live: longer than a word


class Reading(TypedDict):
    """How the training data were read; other data to score are read the same way."""

    audio: str | None
    text: str | None
    pattern: str | None


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Transcriber(Task):
    """A trained transcriber. Made by `fit` and by `elman.load`.

    Attributes:
        normaliser: of the features.
        decoder: finds words in what the network says.
        confidence: how likely a word is to be right.
        baseline: recordings to compare with.
        reading: how recordings and their texts were found.
        spotting: the phrases that it was trained for, and false alarms of them; None: it was trained for any
            text.
    """

    task: ClassVar = "transcribe"
    SETTINGS: ClassVar = Settings
    EVALUATION: ClassVar = SpeechEvaluation
    SCORE: ClassVar = ("wer", True)
    OPTIONS: ClassVar = {
        "evaluate": frozenset({"audio", "text", "pattern", "skip_bad"}),
        "predict": frozenset(
            {"rate", "phrases", "hot_words", "vad", "language_model", "false_alarms", "one_of"}
        ),
        "generate": frozenset(),
    }
    SAVED_BESIDE: ClassVar = frozenset({"reading"})

    network: TranscriberNet
    settings: Settings
    validation: SpeechEvaluation
    normaliser: Normaliser
    decoder: Decoder
    confidence: Confidence
    baseline: Templates
    reading: Reading
    spotting: Spotting | None = None

    @property
    def alphabet(self) -> Alphabet:
        """What the network writes: characters, or words."""
        return self.decoder.alphabet

    @cached_property
    def _features(self) -> Features:
        return features_of(self.settings, self.normaliser.deviation)

    @classmethod
    @training_entry
    def fit(
        cls,
        data: Any = None,
        *,
        phrases: Any = None,
        adapt: Any = None,
        language: str | None = None,
        audio: str | None = None,
        text: str | None = None,
        pattern: str | None = None,
        valid: Any = None,
        skip_bad: bool = False,
        language_model: Any = None,
        live: bool = False,
        folder: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
        **settings: Any,
    ) -> "Transcriber":
        """Train on recordings and what is said in them; see `Task` for the common arguments.

        Args:
            data: a folder of recordings with their texts, or a table of them; see
                `elman.data.audio.recordings.read_recordings`. None: phrases are given.
            phrases: a list of phrases, or a file with one a line, to learn from synthesised speech alone. The
                model then answers nothing else.
            adapt: such data as `data`, a few recordings of these phrases by people.
            language: of the voices that say the phrases, as eSpeak NG names it; None: English.
            audio, text: names of the table's columns, if they can't be told.
            pattern: of the names of a folder's files, which hold the text: "{label}_{speaker}_{n}.wav".
            valid: such data on which to choose the best model; if None, a tenth of the recordings, of other
                speakers where they are known and 10 or more.
            skip_bad: whether to skip recordings that can't be used, with one warning that counts them and
                names the first, rather than to raise DataError for it; refused where they are most.
            language_model: a `LanguageModel` of words, or its folder, to choose on held-out recordings how
                much it counts when `predict` and others get it. It is not kept with the transcriber.
            live: whether to read forwards only (`bidirectional=False`), so that the model can transcribe
                speech while it is spoken.
        """
        started = monotonic()
        if live and settings.setdefault("bidirectional", False):
            raise UsageError("a bidirectional model can't be live: leave out live or bidirectional")
        require_either(data, phrases, adapt=adapt, language=language, language_model=language_model)
        split_choices(settings, Settings)  # before recordings are read
        if folder is not None:
            artifact.check_destination(folder)
        if language_model is not None:
            language_model = language_model_of(language_model)
        read = partial(read_recordings, audio=audio, text=text, skip_bad=skip_bad)
        checked = None if valid is None else read(valid, pattern=in_folder(valid, pattern))
        if phrases is None:
            corpus = read_corpus(read(data, pattern=pattern), checked, settings)
        else:
            own = None if adapt is None else read(adapt, pattern=in_folder(adapt, pattern))
            language = LANGUAGE if language is None else language
            corpus = phrase_corpus(Phrases.of(phrases), language, own, checked, settings, progress)
        identity: dict[str, Any] = {"data": corpus.source["fingerprint"]}
        identity["valid"] = None if checked is None else checked.fingerprint
        words = None if language_model is None else LanguageWords.of(language_model, corpus.alphabet)
        trained = train(
            *(corpus, settings, identity, started, words), folder=folder, resume=resume, progress=progress
        )
        spotting, validation = spotted(corpus, trained)
        model = cls(
            network=trained.network,
            settings=trained.settings,
            source=corpus.source,
            validation=validation,
            failure=trained.failure,
            normaliser=trained.normaliser,
            decoder=trained.decoder,
            confidence=trained.confidence,
            baseline=trained.baseline,
            reading={"audio": audio, "text": text, "pattern": pattern},
            spotting=spotting,
        )
        trained.run.keep(partial(model.save, overwrite=True))
        return model

    @classmethod
    def check_data(
        cls,
        test: Any,
        data: Any = None,
        audio: str | None = None,
        text: str | None = None,
        pattern: str | None = None,
        skip_bad: bool = False,
        **_: Any,
    ) -> None:
        for one in (test, data):
            if one is not None:
                read_recordings(one, audio, text, in_folder(one, pattern), skip_bad=skip_bad)

    @entry
    def evaluate(
        self,
        data: Any,
        *,
        audio: str | None = None,
        text: str | None = None,
        pattern: str | None = None,
        skip_bad: bool = False,
        language_model: Any = None,
        language_weight: float | None = None,
    ) -> SpeechEvaluation:
        """Score on recordings whose texts are known, beside the plain baseline. Arguments are those of `fit`,
        by default as they were for the training, and of `predict`."""
        decoder = self.decoder.with_options(None, None, language_model, language_weight)
        recordings = read_recordings(
            data,
            audio or self.reading["audio"],
            text or self.reading["text"],
            pattern or in_folder(data, self.reading["pattern"]),
            skip_bad=skip_bad,
        )
        used, each = self._features.load(recordings)
        texts = [spoken(text) for text in used.texts]
        require_texts(texts, used)
        started = monotonic()
        answers = [self._words(one, decoder) for one in each]
        computing = monotonic() - started
        plain = [self.baseline.answer(self.normaliser(one)) for one in each]
        seconds = sum(map(len, each)) * self._features.seconds
        same = used.fingerprint == self.source["fingerprint"]
        notes = ("these recordings were trained on, which flatters all scores",) if same else ()
        scored = SpeechEvaluation.of(
            answers, texts, {self.baseline.name: plain}, seconds, computing, notes + self._unknown(texts)
        )
        names = [recording.name for recording in used.all]
        return scored.with_table(table_of(names, texts, answers)).given(data)

    def _unknown(self, texts: list[str]) -> tuple[str, ...]:
        """Return a note on texts that the model can't write."""
        count = sum(self.alphabet.encode(text) is None for text in texts)
        if not count:
            return ()
        unit = f"{self.alphabet.symbol}s"
        return (f"{count} of {len(texts)} texts hold {unit} that training had not, which cost errors",)

    @entry
    def predict(
        self,
        data: Any,
        rate: int | None = None,
        words: bool = False,
        phrases: Any = None,
        hot_words: Any = None,
        vad: bool = False,
        language_model: Any = None,
        language_weight: float | None = None,
        false_alarms: float | None = None,
        one_of: Any = None,
    ) -> Any:
        """Return the text of a recording, or the list of texts of several.

        Args:
            data: a path of a recording; of a folder or a table of them; the bytes of one; an array or tensor
                of samples, or of frames (frames, features) if the model was trained on such; "-" for standard
                input; or a list of such.
            rate: samples per second of arrays, and of raw PCM.
            words: whether to return, in place of the text, the list of its words, each a `Word` with its
                seconds and the probability that it is right.
            phrases: all that can be said: phrases one after another. None: those of the training, or else
                anything.
            hot_words: words and phrases that are expected, which are preferred where they are likely.
            vad: whether to leave out words where Silero's voice activity detection hears no voice.
            language_model: a `LanguageModel` of words, or its folder, in place of the n-gram of the training
                texts: its words are all that can be said.
            language_weight: how much it counts; None: as much as `fit` chose with one, or else as that
                n-gram, or else FUSED.
            false_alarms: to spot the phrases of the training in any speech: how many, an hour, may be heard
                that were not said. Each phrase is then one `Word`.
            one_of: phrases of which each recording is known to hold one, and nothing else: the likeliest is
                answered, however unlikely. A confidence is then its share of the likelihoods of all.

        Raises DataError for a recording that can't be read, UsageError for anything else.
        """
        decoder = self._search(phrases, hot_words, language_model, language_weight)
        spotter = self._spotter(false_alarms, phrases, language_model)
        others = {"phrases": phrases, "hot_words": hot_words, "language_model": language_model}
        choice = self._one_of(one_of, others | {"false_alarms": false_alarms, "vad": vad or None})
        inputs, single = read_inputs(data, self.settings.input)
        answers = list[Any]()
        for source, name in inputs:
            voice = self._features.voice() if vad else None
            features = self._features.read(source, rate, name or "", voice)
            found = self._words(features, decoder) if choice is None else self._chosen(features, choice)
            if voice is not None:
                found = voiced(found, voice)
            if spotter is not None:
                found = spotter.push(found, complete=True)
            answers.append(found if words else text_of(found))
        return answers[0] if single else answers

    def _search(self, phrases: Any, hot_words: Any, language_model: Any, language_weight: Any) -> Decoder:
        options = (phrases, hot_words, language_model, language_weight)
        if phrases is None and hot_words is not None and self.spotting is not None:
            options = (self.spotting.phrases, *options[1:])
        return self.decoder.with_options(*options)

    def _spotter(self, false_alarms: float | None, phrases: Any, language_model: Any) -> Spotter | None:
        if false_alarms is None:
            return None
        if self.spotting is None or phrases is not None or language_model is not None:
            raise UsageError("false_alarms is for a model that was trained with phrases, and for all of them")
        return Spotter(self.spotting.phrases, self.spotting.threshold(false_alarms))

    def _one_of(self, phrases: Any, others: dict[str, Any]) -> OneOf | None:
        if phrases is None:
            return None
        for name, value in others.items():
            if value is not None:
                raise UsageError(f"one_of is all that may be said: leave {name} out")
        return OneOf.of(self.decoder, phrases)

    def _chosen(self, features: torch.Tensor, choice: OneOf) -> list[Word]:
        normalised = self.normaliser(with_edges(features, self._features))
        (log_probs,) = log_probabilities(self.network, [normalised])
        return choice.words(log_probs, self._features.seconds, self.network.stride)

    def _words(self, features: torch.Tensor, decoder: Decoder) -> list[Word]:
        if not self.settings.bidirectional:  # as it would be live
            steps = TranscriberSteps(self.network)
            return self._stream(steps, decoder, None, Endpoint()).read_features(features)
        normalised = self.normaliser(with_edges(features, self._features))
        return transcribed(self.network, normalised, self._features, decoder, self.confidence)

    @entry
    def view(self, data: Any, rate: int | None = None) -> View:
        inputs = looked_at(read_inputs(data, self.settings.input).recordings)
        each = [self._features.read(source, rate, name or "") for source, name in inputs]
        answers = [text_of(self._words(one, self.decoder)) for one in each]
        normalised = [self.normaliser(with_edges(one, self._features)) for one in each]
        return look.view(self.network, normalised, self._features.seconds, answers)

    @entry
    def stream(
        self,
        rate: int | None = None,
        phrases: Any = None,
        hot_words: Any = None,
        pause: float = Endpoint.pause,
        longest: float = Endpoint.longest,
        vad: bool = False,
        language_model: Any = None,
        language_weight: float | None = None,
        false_alarms: float | None = None,
        network: TranscriberSteps | None = None,
    ) -> TranscriberStream | SpottingStream:
        """Start speech that arrives in pieces, in constant memory. Raises UsageError unless it was trained
        with `live`.

        Args:
            rate: samples per second of the pieces; None: those of the model. Frames have none.
            phrases, hot_words, vad, language_model, language_weight, false_alarms: as for `predict`; with
                `vad`, a word is certain 0.3 s later.
            pause: seconds without speech that end an utterance.
            longest: seconds after which an utterance ends at the next gap.
            network: the model's, prepared once for many streams; pools give theirs.
        """
        self._check_one_way()
        decoder = self._search(phrases, hot_words, language_model, language_weight)
        spotter = self._spotter(false_alarms, phrases, language_model)
        voice = self._features.voice(rate, KEPT_SECONDS) if vad else None
        steps = network or TranscriberSteps(self.network)
        stream = self._stream(steps, decoder, rate, Endpoint(pause, longest), voice)
        return stream if spotter is None else SpottingStream(stream, spotter)

    @entry
    def pool(self, capacity: int) -> Pool[Any]:
        """Return room for many streams that advance together; `open` takes the options of `stream`. Raises
        UsageError for a capacity below 1, and as `stream` does."""
        self._check_one_way()
        steps = TranscriberSteps(self.network)
        return Pool(steps, partial(self.stream, network=steps), capacity)

    def _check_one_way(self) -> None:
        if self.settings.bidirectional:
            raise UsageError(
                "this transcriber is bidirectional and can't be live: train one with "
                "live=True, which reads forwards only"
            )

    def _stream(
        self,
        steps: TranscriberSteps,
        decoder: Decoder,
        rate: int | None,
        endpoint: Endpoint,
        voice: VoiceActivity | None = None,
    ) -> TranscriberStream:
        return TranscriberStream(
            steps, self._features, self.normaliser, decoder, self.confidence, rate, endpoint, voice
        )

    def answers(
        self,
        data: Any,
        *,
        rate: int | None = None,
        phrases: Any = None,
        hot_words: Any = None,
        vad: bool = False,
        language_model: Any = None,
        false_alarms: float | None = None,
        one_of: Any = None,
    ) -> Iterator[Transcript]:
        """Return the transcripts of all recordings in `data`, made as they are asked for. Raises
        UsageError if there are no data."""
        self.require_input(data)
        inputs, single = read_inputs(data, self.settings.input)
        if language_model is not None:  # loaded once
            language_model = language_model_of(language_model)

        def transcript(source: Any, name: str | None) -> Transcript:
            options = {"false_alarms": false_alarms, "one_of": one_of}
            words = self.predict(source, rate, True, phrases, hot_words, vad, language_model, **options)
            return Transcript(name, tuple(words), single)

        return Transcripts(itertools.starmap(transcript, inputs), len(inputs))

    def graphs(self) -> dict[str, Exported]:
        from elman.tasks.transcribe.export import transcriber_graph
        from elman.tasks.transcribe.export_step import step_graph

        features, settings = self._features, self.settings
        network = self.network, features, self.normaliser
        inputs = {
            "alphabet": self.alphabet.to_json(),
            "between": SPACE if self.alphabet.unit == "word" else "",
            "rate": settings.rate if settings.input == "audio" else None,
            "seconds": self.network.stride * features.seconds,  # of a step
            "search": self.decoder.searches,
        }
        graphs = {"": Exported(transcriber_graph(*network), inputs)}
        if not settings.bidirectional:
            graphs["step"] = Exported(step_graph(*network), inputs)
        return graphs

    def facts(self) -> dict[str, Any]:
        phrases = () if self.spotting is None else self.spotting.phrases
        return {
            "rate": self.settings.rate,
            "input": self.settings.input,
            "phrases": list(phrases[:MAX_NAMED]),
            "labels": list(self.alphabet.labels[:MAX_NAMED]) if self.alphabet.unit == "word" else [],
            "stream": not self.settings.bidirectional,
            "examples": [],
        }

    def parts(self) -> Parts:
        return Parts(
            modules={"network": self.network},
            tensors={
                "feature_mean": self.normaliser.mean,
                "feature_deviation": self.normaliser.deviation,
                "said": torch.from_numpy(self.decoder.lexicon.ids),
                **self.baseline.tensors(),
            },
            files={
                "alphabet": self.alphabet.to_json(),
                "words": list(self.decoder.lexicon.words),
                "templates": list(self.baseline.texts),
                "decoder": self.decoder.to_json(),
                "confidence": asdict(self.confidence),
                **({} if self.spotting is None else {"spotting": self.spotting.to_json()}),
            },
            settings={"reading": dict(self.reading)},
        )

    @classmethod
    def restore(cls, settings: Settings, parts: Parts) -> dict[str, Any]:
        alphabet = Alphabet.from_json(parts.files["alphabet"])
        lexicon = Lexicon.restore(parts.files["words"], parts.tensor("said", torch.int64, 1))
        decoder = Decoder.restore(alphabet, lexicon, parts.files["decoder"], settings.beam_width)
        spotting = None
        if "spotting" in parts.files:
            spotting = Spotting.from_json(parts.files["spotting"])
            decoder = decoder.of_phrases(spotting.phrases)
        normaliser = restored_normaliser(parts, settings.bins)
        if alphabet.unit != settings.unit:
            raise ValueError(f"the alphabet is of {alphabet.unit}s, not of {settings.unit}s")
        return {
            "network": parts.module(
                "network", lambda: TranscriberNet(settings, settings.bins, len(alphabet))
            ),
            "normaliser": normaliser,
            "decoder": decoder,
            "confidence": Confidence.from_json(parts.files["confidence"]),
            "baseline": Templates.restore(parts.files["templates"], parts.tensors, settings.bins),
            "reading": typed(Reading, parts.settings["reading"], "reading"),
            "spotting": spotting,
        }

    def card(self) -> Card:
        source, ways = self.source, "both ways" if self.settings.bidirectional else "forwards"
        labels = f"{len(self.alphabet) - 1} {self.alphabet.unit}s"
        made = "" if self.spotting is None else "synthesised "
        search = "by its likeliest labels"
        ending = "npy" if self.settings.input == "frames" else "wav"
        if self.decoder.weights is not None:
            search = "with a 3-gram of the training texts, which this folder holds"
        return Card(
            title="Transcriber",
            data=f"{source['rows']} {made}recordings of {source['source']}",
            network=f"The network, {network_phrase(self.settings)}, reads speech {ways} and writes {labels}, "
            f"found {search}.",
            held_out="held-out recordings",
            baseline=f"the {self.baseline.name}",
            usage=f'model.predict("speech.{ending}")',
        )


def require_either(data: Any, phrases: Any, *, adapt: Any, language: str | None, language_model: Any) -> None:
    """Raise UsageError unless there are either recordings or phrases, and what goes with them."""
    if data is None and phrases is None:
        raise UsageError("there is nothing to learn from: give recordings, or phrases")
    if data is not None and phrases is not None:
        raise UsageError("phrases are learned from synthesised speech: add recordings of them with adapt")
    if phrases is not None and language_model is not None:
        raise UsageError("a model of phrases answers only with them: leave language_model out")
    if phrases is None and (adapt is not None or language is not None):
        name = "language" if adapt is None else "adapt"
        raise UsageError(f"{name} applies only to training from phrases: give phrases as well")


def in_folder(data: Any, pattern: str | None) -> str | None:
    """Return the pattern of the training's file names if `data` is a folder, too; tables have none."""
    return pattern if isinstance(data, str | Path) and Path(data).is_dir() else None


def restored_normaliser(parts: Parts, bins: int) -> Normaliser:
    """Return the saved normaliser. Raises ValueError for one that can't be used."""
    mean = parts.tensor("feature_mean", torch.float32, 1)
    deviation = parts.tensor("feature_deviation", torch.float32, 1)
    valid = len(mean) == len(deviation) == bins and bool((mean.abs() <= MAX_DEVIATION).all())
    if not valid or not bool(((deviation > 1e-6) & (deviation <= MAX_DEVIATION)).all()):
        raise ValueError("the mean and deviation of the features are out of range")
    return Normaliser(mean, deviation, PRIOR_FRAMES, WINDOW_FRAMES)
