"""A text that arrives in pieces, and its translation as it is decoded."""

from collections.abc import Iterator
from functools import partial

from elman import decode
from elman.stepping import within
from elman.tasks import stream_state
from elman.tasks.entry import entry
from elman.tasks.inputs import check_text
from elman.tasks.pool import Steps, answered, pieces, stepwise
from elman.tasks.stream_state import Saved, checking
from elman.tasks.translate.codec import END, Codec
from elman.tasks.translate.search import joined, segments, translation
from elman.tasks.translate.settings import Settings
from elman.tasks.translate.steps import DecoderSteps, Sentence


class TranslationStream:
    """A text to translate that arrives in pieces. Made by `Translator.stream`."""

    def __init__(self, network: DecoderSteps, codec: Codec, settings: Settings) -> None:
        self.network, self._codec, self._settings = network, codec, settings
        self.reset()

    def reset(self) -> None:
        """Begin another text."""
        self._text = ""

    @entry
    def push(self, text: str) -> None:
        """Append to the text. Raises UsageError if it is not a string."""
        self._text += check_text(text, "text")

    @stepwise
    def result(self) -> Steps[str]:
        """Return the best translation of all that was pushed, by beam search."""
        width, penalty = self._settings.beam_width, self._settings.length_penalty
        parts = []
        for segment in segments(self._codec, self._text):
            source = self._codec.encode_source(segment)
            one = Sentence(self.network, self._codec, source)
            searching = decode.beam_search(
                one.model,
                one.first,
                beam_width=width,
                end=END,
                limit=one.limit,
                length_penalty=penalty,
                banned=one.banned,
            )
            best = yield from within(searching.steps(one.first, one.state), one.stepping)
            assert best.trace is not None
            tokens, attention = best.tokens[0, 0, : best.lengths[0, 0]], best.trace[0, 0]
            parts.append([translation(self._codec, segment, source, tokens, 0.0, attention)])
        return joined(parts, 1)[0].text

    @entry
    def words(self) -> Iterator[str]:
        """Yield the greedy translation of all that was pushed, in pieces as they are decoded."""
        return pieces(self.writing(), partial(answered, self.network))

    def to_bytes(self) -> bytes:
        """Return the state, for `from_bytes` of a stream of the same model."""
        return stream_state.to_bytes("translate", "", Saved({"text": self._text}, {}))

    def from_bytes(self, content: bytes) -> None:
        """Continue from what `to_bytes` returned. Raises ArtifactError for anything else."""
        read = stream_state.from_bytes(content, "translate", "")
        with checking():
            self._text = read.text("text")

    def writing(self) -> Steps[None]:
        """Do what `words` does in a pool: yield requests to the network, and pieces of text."""
        separator = ""
        for segment in segments(self._codec, self._text):
            started = yield from self._decoded(segment, separator)
            separator = " " if started else separator

    def _decoded(self, segment: str, separator: str) -> Steps[bool]:
        """Yield the pieces of one segment, the first after a separator; return whether there are any."""
        source = self._codec.encode_source(segment)
        one = Sentence(self.network, self._codec, source)
        sampling = decode.sampler(one.first, temperature=0, banned=one.banned)
        tokens, state, ids = one.first, one.state, list[int]()
        started, length = False, 0  # of the text yielded
        while len(ids) < one.limit:
            logits, state = yield from one.stepping((tokens, state))
            chosen = sampling(logits)
            if chosen is None or int(chosen) == END:
                break
            tokens = chosen
            ids.append(int(chosen))
            text = "".join(self._codec.pieces(ids, source.slots))
            if text.endswith("\ufffd"):  # the rest of a character is still to come
                continue
            new, length = text[length:], len(text)
            new = new if started else new.lstrip()
            if new:
                yield new if started else separator + new
                started = True
        return started
