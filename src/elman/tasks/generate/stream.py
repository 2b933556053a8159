"""A text as it is typed, with the network's state in hand: what comes next, and text that goes on from it."""

from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from elman import decode
from elman.atomic import replace_file, writing
from elman.data.text.vocabulary import END, UNKNOWN
from elman.errors import ArtifactError, UsageError
from elman.tasks.generate.cache import Blend, Cache
from elman.tasks.generate.network import State, Voice, Writer, rows_of
from elman.tasks.generate.next_words import completed, spelt, trailing_word
from elman.tasks.generate.problem import PIECE

TAIL: Final = 64  # characters of a word that are remembered


class Held(NamedTuple):
    """What the past comes to, of constant size."""

    state: State | None
    cache: Cache | None


class LanguageStream:
    """Made by `LanguageModel.stream`. The same memory and the same time a token, however long the text."""

    def __init__(self, network: Writer, vocabulary: Any, blend: Blend | None) -> None:
        self._network, self._vocabulary, self._blend = network, vocabulary, blend
        self._returned = False  # whether the text ended in a carriage return, with which a line may end
        self._rest = ""  # the end of the text, whose tokens may still change
        self._tail = ""  # what stands right before it
        self._last, self._held = END, Held(None, None)  # the last token, and all before it
        self._model = decode.Model(partial(self._step, Voice(network)), _select)
        self._banned = torch.tensor([END, UNKNOWN])

    def push(self, text: str) -> None:
        """Read on.

        Raises:
            UsageError: not a string.
        """
        if not isinstance(text, str):
            raise UsageError(f"push takes a text, not {type(text).__name__}")
        if text:
            more = text[1:] if self._returned and text[0] == "\n" else text
            self._rest += more.replace("\r\n", "\n").replace("\r", "\n")
            self._returned = text[-1] == "\r"
        end = self._vocabulary.settled(self._rest)
        done, self._rest = self._rest[:end], self._rest[end:]
        self._tail = (self._tail + done)[-TAIL:]
        self._last, self._held = self._read(done, self._last, self._held)

    def result(self, count: int = 5) -> list[tuple[str, float]]:
        """The likeliest next words and their probabilities, best first; after a part of a word, those that
        begin so, given that they do."""
        if self._vocabulary.kind in ("word", "space"):
            whole, begun = self._begun()
            last, held = self._read(whole, self._last, self._held)
            logits, _ = self._model.step(torch.tensor([last]), held)
            return completed(logits[0].log_softmax(0), self._vocabulary, begun, count)
        begun = trailing_word(self._tail + self._rest)
        # A word's space and first letters may be one token with what is still to come.
        cut = max(0, len(self._rest) - len(begun))
        cut -= self._rest[:cut].endswith(" ")
        last, held = self._read(self._rest[:cut], self._last, self._held)
        return spelt(self._model, self._vocabulary, last, held, begun, count, self._rest[cut:])

    def _begun(self) -> tuple[str, str]:
        """Of what was held back in a vocabulary of words: what is complete, and the word that is not."""
        *whole, begun = self._vocabulary.pieces(self._rest) or [""]
        if begun in ("'", "’") and whole:  # of "don't"
            begun = whole.pop() + begun
        elif self._vocabulary.kind == "word" and begun and not begun[-1].isalnum():  # a mark is complete
            whole, begun = [*whole, begun], ""
        return "".join(whole), begun.strip()

    def generate(
        self,
        length: int = 500,
        *,
        temperature: float = 0.8,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
        stop: str | None = None,
    ) -> Iterator[str]:
        """Text that goes on from what was pushed, in pieces as they come; the stream stays where it is.

        Args:
            length: most characters.
            temperature: below 1 likelier, above 1 more surprising; 0 takes the likeliest token each time.
            top_k, top_p: draw only from the k likeliest tokens, or from the fewest that have so much
                probability together (Holtzman et al., arXiv:1904.09751).
            seed: the same seed, the same text.
            stop: end before this string.

        Raises:
            UsageError: a number that can't be.
        """
        if not isinstance(length, int) or length < 0:
            raise UsageError(f"length must be a whole number of 0 or more, not {length!r}")
        if stop is not None and (not isinstance(stop, str) or not stop):
            raise UsageError(f"stop must be a text of at least one character, not {stop!r}")
        if seed is not None and not (isinstance(seed, int) and 0 <= seed < 2**63):
            raise UsageError(f"seed must be a whole number from 0 to below 2**63, not {seed!r}")
        generator = torch.Generator()
        generator.manual_seed(seed) if seed is not None else generator.seed()
        # the space before a word belongs to its token
        blank = self._rest.endswith(" ") and self._vocabulary.kind != "character"
        last, held = self._read(self._rest[: len(self._rest) - blank], self._last, self._held)
        drawn = decode.sampled(
            self._writing,
            torch.tensor([last]),
            held,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            generator=generator,
            banned=self._banned,
        )
        return _until(_as_text(drawn, self._vocabulary, blank), length, stop)

    def save(self, file: str | Path) -> None:
        """Keep all that was read, for `LanguageModel.stream(saved=file)`."""
        tensors = {
            "last": torch.tensor([self._last]),
            "rest": _letters(self._rest),
            "tail": _letters(self._tail),
        }
        for k, layer in enumerate(self._held.state or ()):
            for j, part in enumerate(layer if isinstance(layer, tuple) else (layer,)):
                tensors[f"state.{k}.{j}"] = part.contiguous()
        if self._held.cache is not None:
            tensors |= {"cache.features": self._held.cache.features, "cache.tokens": self._held.cache.tokens}
        place = Path(file)
        with writing(place, UsageError), replace_file(place) as out:
            out.write(safetensors.torch.save(tensors, {"elman": "stream", "mark": self._mark()}))

    def load(self, file: str | Path) -> None:
        """Go on from what `save` kept.

        Raises:
            ArtifactError: no such file, or one of another model.
        """
        try:
            with safe_open(str(file), "pt") as saved:
                mark = (saved.metadata() or {}).get("mark")
                # copies, which PyTorch aligns: products round differently where numbers stand otherwise
                tensors = {name: saved.get_tensor(name).clone() for name in saved.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise ArtifactError(f"{file} holds no stream of a language model: {error}") from error
        if mark != self._mark():
            raise ArtifactError(f"{file} holds a stream of another model: streams fit the model they are of")
        self._last, self._returned = int(tensors["last"]), False
        self._rest, self._tail = ("".join(map(chr, tensors[name].tolist())) for name in ("rest", "tail"))
        layers: list[Any] = []
        for k in range(len(self._network.layers)):
            parts = tuple(tensors[name] for name in sorted(tensors) if name.startswith(f"state.{k}."))
            layers.append(parts if len(parts) > 1 else parts[0] if parts else None)
        cache = (
            Cache(tensors["cache.features"], tensors["cache.tokens"]) if "cache.tokens" in tensors else None
        )
        state = None if layers[0] is None else tuple(layers)
        self._held = Held(state, cache if self._blend else None)

    def _mark(self) -> str:
        """Tells streams of one model from those of another."""
        network = self._network
        shapes = [tuple(p.shape) for p in network.parameters()]
        return f"{shapes} {float(network.embedding.weight.detach().double().sum()):.12g}"

    def _read(self, text: str, last: int, held: Held) -> tuple[int, Held]:
        """A text, in pieces that the network reads at once: its last token, and what all before comes to."""
        ids = torch.from_numpy(self._vocabulary.encode(text))
        for begin in range(0, len(ids), PIECE):
            piece = ids[begin : begin + PIECE]
            before = torch.cat([torch.tensor([last]), piece[:-1]])
            with torch.no_grad():
                features, _, state = self._network(before.unsqueeze(1), held.state)
            cache = held.cache
            if self._blend is not None:
                cache = (cache or Cache.empty(features[0])).after(features.squeeze(1), piece)
            held, last = Held(state, cache), int(piece[-1])
        return last, held

    @cached_property
    def _writing(self) -> decode.Model:
        """The model for a long text."""
        return decode.Model(partial(self._step, Voice(self._network, alone=True)), _select)

    def _step(self, voice: Voice, tokens: Tensor, held: Held) -> tuple[Tensor, Held]:
        """Log probabilities (N, V), up to a constant, of what follows these tokens (N), one a row of what is
        held."""
        features, state = voice.step(tokens, held.state)
        logits = voice.logits(features)
        if held.cache is not None and self._blend is not None:
            logits = held.cache.mixed(logits.log_softmax(1), features, self._blend)
        return logits, Held(state, held.cache)


def _select(held: Held, rows: Tensor) -> Held:
    """The state of these rows; all share one cache."""
    return Held(rows_of(held.state, rows), held.cache)


def _as_text(drawn: Iterator[Tensor], vocabulary: Any, blank: bool) -> Iterator[str]:
    """Tokens as the text they add, after a `blank` without their own; a character whose bytes are not all
    there is held back."""
    pending: list[int] = []
    for token in drawn:
        pending.append(int(token))
        piece = vocabulary.decode(pending)
        if not piece.endswith("\ufffd") or len(pending) > 8:
            pending = []
            yield piece.removeprefix(" ") if blank else piece
            blank = False


def _until(pieces: Iterator[str], length: int, stop: str | None) -> Iterator[str]:
    """At most `length` characters, and none from `stop` on."""
    held, room = "", length
    for piece in pieces:
        if room <= 0:
            break
        held += piece[:room]
        room -= len(piece)
        if stop is not None and stop in held:
            yield held[: held.index(stop)]
            return
        # what may be the beginning of `stop` waits
        keep = (
            0
            if stop is None
            else next(
                (n for n in range(min(len(stop) - 1, len(held)), 0, -1) if stop.startswith(held[-n:])), 0
            )
        )
        if len(held) > keep:
            yield held[: len(held) - keep]
            held = held[len(held) - keep :]
    if held:
        yield held


def _letters(text: str) -> Tensor:
    return torch.tensor([ord(c) for c in text], dtype=torch.int64)
