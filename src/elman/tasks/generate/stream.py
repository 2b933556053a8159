"""A text as it is typed, with the state in hand: the likeliest next words, and generated continuations."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman import decode
from elman.atomic import as_path, read_regular, replace_file, writing
from elman.data.text.tokenizers import UNKNOWN
from elman.data.text.vocabulary import END, AnyVocabulary, Vocabulary
from elman.errors import ArtifactError, UsageError
from elman.nn.rows import Array
from elman.settings import is_whole
from elman.stepping import within
from elman.tasks import stream_state
from elman.tasks.entry import entry
from elman.tasks.generate.cache import CACHE_STEPS, Blend, Cache
from elman.tasks.generate.next_words import completed, spelled, trailing_word
from elman.tasks.generate.problem import CHUNK_STEPS
from elman.tasks.generate.steps import LanguageSteps, SingleSteps, State, Tokens
from elman.tasks.inputs import check_count, check_seed, check_text
from elman.tasks.pool import Steps, pieces, stepwise
from elman.tasks.stream_state import Saved, checking

TAIL_CHARACTERS: Final = 64  # of the text read so far, for the word at its end
LENGTH, TEMPERATURE = 500, 0.8  # of what is generated
MAX_PENDING_TOKENS: Final = 8  # that may together be one character


class Written(NamedTuple):
    """How a continuation came to its end: of so many tokens, by its `length` or before a "stop"."""

    tokens: int
    reason: str


class DecoderState(NamedTuple):
    """Recurrent state and cache after the tokens read so far, of constant size."""

    layers: State | None
    cache: Cache | None

    def select(self, rows: Tensor) -> "DecoderState":
        """Return the state of these rows, which share one cache."""
        assert self.layers is not None
        chosen = rows.numpy()
        return self._replace(layers=tuple(tuple(part[:, chosen] for part in one) for one in self.layers))


class LanguageStream:
    """A text that arrives in pieces. Made by `LanguageModel.stream`. Memory, and time per token, do not grow
    with the text.

    Attributes:
        written: how the continuation that was written last has ended; None before one has.
    """

    def __init__(self, network: LanguageSteps, vocabulary: AnyVocabulary, blend: Blend | None) -> None:
        self.network, self._vocabulary, self._blend = network, vocabulary, blend
        self._banned = torch.tensor([END, UNKNOWN])
        self.written: Written | None = None
        self.reset()

    def reset(self) -> None:
        """Begin another text."""
        self._ends_in_cr = False  # a line feed that follows is part of the same line end
        self._rest = ""  # the end of the text, whose tokens may still change
        self._tail = ""  # the characters before it
        self._last, self._state = END, DecoderState(None, None)  # the last token, and the state before it

    @stepwise
    def push(self, text: str) -> Steps[None]:
        """Read more text. Raises UsageError for anything but a string."""
        if text := check_text(text, "text"):
            more = text[1:] if self._ends_in_cr and text[0] == "\n" else text
            self._rest += more.replace("\r\n", "\n").replace("\r", "\n")
            self._ends_in_cr = text[-1] == "\r"
        end = self._vocabulary.stable_prefix(self._rest)
        stable, self._rest = self._rest[:end], self._rest[end:]
        self._tail = (self._tail + stable)[-TAIL_CHARACTERS:]
        self._last, self._state = yield from self._read(stable, self._last, self._state)

    @stepwise
    def result(self, count: int = 5) -> Steps[list[tuple[str, float]]]:
        """Return the likeliest next words and their probabilities, best first; after a part of a word, the
        words that begin with it, with probabilities given that part. Raises UsageError
        for a count below 1."""
        check_count(count)
        vocabulary = self._vocabulary
        if isinstance(vocabulary, Vocabulary) and vocabulary.kind != "character":
            whole, begun = self._split_rest()
            last, state = yield from self._read(whole, self._last, self._state)
            logits, _ = yield from self._step([last], state)
            return completed(logits[0], vocabulary, begun, count)
        begun = trailing_word(self._tail + self._rest)
        # one token may hold a word's space, its first letters and letters that are not typed yet
        cut = max(0, len(self._rest) - len(begun))
        cut -= self._rest[:cut].endswith(" ")
        last, state = yield from self._read(self._rest[:cut], self._last, self._state)
        search = spelled(DecoderState.select, self._vocabulary, last, state, begun, count, self._rest[cut:])
        return (yield from within(search, self._spelling))

    def _split_rest(self) -> tuple[str, str]:
        """Split the rest into complete words and the word that is not, for a vocabulary of words."""
        *whole, begun = self._vocabulary.pieces(self._rest) or [""]
        if begun in ("'", "’") and whole:  # of "don't"
            begun = whole.pop() + begun
        elif self._vocabulary.kind == "word" and begun and not begun[-1].isalnum():  # a mark is complete
            whole, begun = [*whole, begun], ""
        return "".join(whole), begun.strip()

    @entry
    def generate(
        self,
        length: int = LENGTH,
        *,
        temperature: float = TEMPERATURE,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
        stop: str | Sequence[str] | None = None,
        tokens: int | None = None,
    ) -> Iterator[str]:
        """Yield a continuation of what was pushed, piece by piece; the stream itself does not change.

        Args:
            length: most characters.
            temperature: below 1 likelier, above 1 more surprising; 0 takes the likeliest token each time.
            top_k, top_p: sample only from the k likeliest tokens, or from the fewest with that total
                probability (Holtzman et al., arXiv:1904.09751).
            seed: the same seed gives the same text.
            stop: end before this string, or before the first of several.
            tokens: at most so many.

        Raises UsageError for a value out of its range.
        """
        options: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        options |= {"seed": seed, "stop": stop, "tokens": tokens}
        return pieces(self.writing(length, **options), SingleSteps(self.network).answer)

    def writing(
        self,
        length: int = LENGTH,
        *,
        temperature: float = TEMPERATURE,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
        stop: str | Sequence[str] | None = None,
        tokens: int | None = None,
    ) -> Steps[None]:
        """Do what `generate` does in a pool: yield requests to the network, and pieces of text."""
        if not is_whole(length) or length < 0:
            raise UsageError(f"length must be a whole number of 0 or more, not {length!r}")
        stops = () if stop is None else (stop,) if isinstance(stop, str) else stop
        if not isinstance(stops, list | tuple) or not all(isinstance(one, str) and one for one in stops):
            raise UsageError(f"stop must be a text of at least one character, or several, not {stop!r}")
        if tokens is not None:
            check_count(tokens, "tokens")
        if seed is not None:
            check_seed(seed)
        generator = torch.Generator()
        generator.manual_seed(seed) if seed is not None else generator.seed()
        # the space before a word belongs to its token
        blank = self._rest.endswith(" ") and self._vocabulary.kind != "character"
        sampler = decode.sampler(
            self._banned[:1],
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            generator=generator,
            banned=self._banned,
        )
        return self._written(sampler, Continuation(self._vocabulary, blank, length, stops), tokens)

    def _written(self, sampler: decode.Sampling, text: "Continuation", tokens: int | None) -> Steps[None]:
        begun, count = self._rest[: len(self._rest) - text.blank], 0
        last, state = yield from self._read(begun, self._last, self._state)
        token: int | None = last
        while not text.is_full and count != tokens:
            logits, state = yield from self._step([last], state)
            token = sampler.one(logits)
            if token is None:
                break
            last, count = token, count + 1
            if piece := text.add(token):
                yield piece
        self.written = Written(count, "stop" if text.is_stopped or token is None else "length")
        if piece := text.rest():
            yield piece

    def num_tokens(self, text: str) -> int:
        """Return of how many tokens a text consists."""
        return len(self._vocabulary.encode(text))

    def save(self, file: str | Path) -> None:
        """Save the state after what was pushed, for `LanguageModel.stream(saved=file)`."""
        path = as_path(file, "file")
        with writing(path, UsageError), replace_file(path) as out:
            out.write(self.to_bytes())

    def to_bytes(self) -> bytes:
        """Return the state, as `save` writes it, for `from_bytes` of a stream of the same model."""
        tensors = {"last": torch.tensor([self._last])}
        tensors |= {"rest": _code_points(self._rest), "tail": _code_points(self._tail)}
        for k, layer in enumerate(self._state.layers or ()):
            for j, part in enumerate(layer):
                tensors[f"state.{k}.{j}"] = torch.from_numpy(part)
        if (cache := self._state.cache) is not None:
            tensors |= {"cache.features": cache.features, "cache.tokens": cache.tokens}
        values = {"ends_in_cr": self._ends_in_cr}
        return stream_state.to_bytes("generate", self._fingerprint(), Saved(values, tensors))

    @entry
    def load(self, file: str | Path) -> None:
        """Continue from a file that `save` wrote. Raises ArtifactError if there is none, or one of another
        model."""
        path = as_path(file, "file")
        try:
            content = read_regular(path)
        except OSError as error:
            raise ArtifactError(f"{file} holds no stream of a language model: {error}") from error
        try:
            self.from_bytes(content)
        except ArtifactError as error:
            raise ArtifactError(f"{file} holds no stream of this language model: {error}") from error

    @entry
    def from_bytes(self, content: bytes) -> None:
        """Continue from what `to_bytes` returned. Raises ArtifactError for anything else, or another model's
        stream."""
        read = stream_state.from_bytes(content, "generate", self._fingerprint())
        with checking():
            last, rest, tail, state = self._restored(read)
            ends_in_cr = read.values.get("ends_in_cr", False) is True
        self._last, self._rest, self._tail, self._state, self._ends_in_cr = (
            last,
            rest,
            tail,
            state,
            ends_in_cr,
        )

    def _restored(self, read: Saved) -> tuple[int, str, str, DecoderState]:
        """Return the last token, the two ends of the text and the state. Raises ValueError or LookupError for
        tensors of another kind than `to_bytes` writes."""
        tensors, part = read.tensors, read.tensor
        rest, tail = (
            "".join(map(chr, part(name, torch.int64, read.length(name)).tolist()))
            for name in ("rest", "tail")
        )
        last = part("last", torch.int64, 1)
        network = self.network.network
        layers: list[Any] = []
        for k, layer in enumerate(network.layers if "state.0.0" in tensors else ()):
            sizes = 1, 1, int(layer.hidden_size)  # type: ignore[arg-type]
            count = len(layer.cell.state)  # type: ignore[union-attr, arg-type]
            layers.append(tuple(part(f"state.{k}.{j}", torch.float32, *sizes).numpy() for j in range(count)))
        cache = None
        if self._blend is not None and "cache.tokens" in tensors:
            steps, width = len(tensors["cache.tokens"]), int(network.layers[-1].hidden_size)  # type: ignore[arg-type]
            tokens = part("cache.tokens", torch.int64, steps)
            cache = Cache(
                part("cache.features", torch.float32, steps, width)[-CACHE_STEPS:], tokens[-CACHE_STEPS:]
            )
        ids = last if cache is None else torch.cat([last, cache.tokens])
        if not 0 <= int(ids.min()) <= int(ids.max()) < len(self._vocabulary):
            raise ValueError("a token is not of the vocabulary")
        return int(last), rest, tail, DecoderState(tuple(layers) or None, cache)

    def _fingerprint(self) -> str:
        network = self.network.network
        shapes = [tuple(p.shape) for p in network.parameters()]
        return f"{shapes} {float(network.embedding.weight.detach().double().sum()):.12g}"

    def _read(self, text: str, last: int, state: DecoderState) -> Steps[tuple[int, DecoderState]]:
        """Read a text chunk by chunk; return its last token and the state before that."""
        ids = self._vocabulary.encode(text)
        for begin in range(0, len(ids), CHUNK_STEPS):
            chunk = ids[begin : begin + CHUNK_STEPS]
            inputs = np.concatenate([[last], chunk[:-1]])
            read = yield Tokens(inputs[:, None], state.layers)
            cache = state.cache
            if self._blend is not None:
                features = torch.from_numpy(read.features)
                cache = cache or Cache.empty(features[0])
                cache = cache.extended(features.squeeze(1), torch.from_numpy(chunk))
            last, state = int(chunk[-1]), DecoderState(read.state, cache)
        return last, state

    def _spelling(self, request: tuple[list[int], DecoderState]) -> Steps[tuple[Tensor, DecoderState]]:
        logits, state = yield from self._step(*request)
        return torch.from_numpy(logits), state

    def _step(self, tokens: Sequence[int], state: DecoderState) -> Steps[tuple[Array, DecoderState]]:
        """Read a token of each row, (R); return log-probabilities (R, V), up to a constant, of the next ones,
        and the next state."""
        read = yield Tokens(np.array([tokens], np.int64), state.layers, logits=True)
        logits = read.logits
        if state.cache is not None and self._blend is not None:
            features, logits = torch.from_numpy(read.features[0]), torch.from_numpy(logits).log_softmax(1)
            logits = state.cache.mix(logits, features, self._blend).numpy()
        return logits, DecoderState(read.state, state.cache)


class Continuation:
    """The text of tokens as they are written: at most `length` characters, and none from one of `stops` on.

    Attributes:
        blank: whether a blank precedes them, which the first token repeats.
        is_full: whether no token can add to it.
        is_stopped: whether one of `stops` came.
    """

    def __init__(self, vocabulary: AnyVocabulary, blank: bool, length: int, stops: Sequence[str]) -> None:
        self._vocabulary, self.blank, self._room, self._stops = vocabulary, blank, length, stops
        self.is_stopped = False
        self._tokens: list[int] = []  # of an incomplete character, which waits for its other bytes
        self._first, self._pending = blank, ""
        self.is_full = length == 0

    def add(self, token: int) -> str:
        """Take the next token; return the text that is certain now."""
        self._tokens.append(token)
        piece = self._vocabulary.decode(self._tokens)
        if piece.endswith("\ufffd") and len(self._tokens) <= MAX_PENDING_TOKENS:
            return ""
        self._tokens = []
        if self._first:
            piece, self._first = piece.removeprefix(" "), False
        pending = self._pending + piece[: self._room]
        self._room -= len(piece)
        self.is_full = self._room <= 0
        ends = [pending.index(stop) for stop in self._stops if stop in pending]
        if ends:
            self.is_full = self.is_stopped = True
            self._pending = ""
            return pending[: min(ends)]
        ready = len(pending) - max((_overlap(pending, stop) for stop in self._stops), default=0)
        self._pending = pending[ready:]
        return pending[:ready]

    def rest(self) -> str:
        """Return what was held back at the end, as it might have become one of `stops`."""
        return self._pending


def _overlap(text: str, stop: str) -> int:
    """Return how many characters at the end of a text may be the beginning of `stop`."""
    lengths = range(min(len(stop) - 1, len(text)), 0, -1)
    return next((n for n in lengths if stop.startswith(text[-n:])), 0)


def _code_points(text: str) -> Tensor:
    return torch.tensor([ord(c) for c in text], dtype=torch.int64)
