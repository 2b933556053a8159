"""A text that arrives in pieces, and its translation as it is decoded."""

from collections.abc import Iterator
from itertools import islice

from elman import decode
from elman.tasks.entry import entry
from elman.tasks.inputs import check_text
from elman.tasks.translate.codec import END, Codec
from elman.tasks.translate.network import EncoderDecoder
from elman.tasks.translate.search import SentenceBatch, segments, translate
from elman.tasks.translate.settings import Settings


class TranslationStream:
    """A text to translate that arrives in pieces. Made by `Translator.stream`."""

    def __init__(self, network: EncoderDecoder, codec: Codec, settings: Settings) -> None:
        self._network, self._codec, self._settings = network, codec, settings
        self._text = ""

    @entry
    def push(self, text: str) -> None:
        """Append to the text. Raises UsageError if it is not a string."""
        self._text += check_text(text, "text")

    @entry
    def result(self) -> str:
        """Return the best translation of all that was pushed, by beam search."""
        width, penalty = self._settings.beam_width, self._settings.length_penalty
        best = translate(self._network, self._codec, [self._text], beam_width=width, length_penalty=penalty)
        return best[0][0].text

    @entry
    def words(self) -> Iterator[str]:
        """Yield the greedy translation of all that was pushed, in pieces as they are decoded."""
        separator = ""
        for segment in segments(self._codec, self._text):
            started = False
            for piece in self._decoded(segment):
                if started:
                    yield piece
                elif piece := piece.lstrip():
                    yield separator + piece
                    started, separator = True, " "

    def _decoded(self, segment: str) -> Iterator[str]:
        source = self._codec.encode_source(segment)
        batch = SentenceBatch(self._network, self._codec, [source])
        greedy = decode.sample_stream(
            batch.model, batch.first, batch.state, temperature=0, banned=batch.banned
        )
        ids: list[int] = []
        length = 0  # of the text yielded
        for token in map(int, islice(greedy, int(batch.limit))):
            if token == END:
                return
            ids.append(token)
            text = "".join(self._codec.pieces(ids, source.slots))
            if text.endswith("\ufffd"):  # the rest of a character is still to come
                continue
            new, length = text[length:], len(text)
            if new:
                yield new
