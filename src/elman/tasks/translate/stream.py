"""A sentence as it is typed, and its translation word by word as it is decoded."""

from collections.abc import Iterator

from elman import decode
from elman.errors import UsageError
from elman.tasks.translate.codec import END, Codec
from elman.tasks.translate.network import EncoderDecoder
from elman.tasks.translate.search import Translating, pieces, translate
from elman.tasks.translate.settings import Settings


class TranslationStream:
    """Made by `Translator.stream`. What was pushed is translated when asked for."""

    def __init__(self, network: EncoderDecoder, codec: Codec, settings: Settings) -> None:
        self._network, self._codec, self._settings = network, codec, settings
        self._text = ""

    def push(self, text: str) -> None:
        """Read on. Raises UsageError if it is not a string."""
        if not isinstance(text, str):
            raise UsageError(f"push takes a text, not {type(text).__name__}")
        self._text += text

    def result(self) -> str:
        """The best translation of all that was pushed, by beam search."""
        settings = self._settings
        found = translate(
            self._network,
            self._codec,
            [self._text],
            width=settings.width,
            length_penalty=settings.length_penalty,
        )
        return found[0][0].text

    def words(self) -> Iterator[str]:
        """The translation of all that was pushed, in pieces as they are decoded, each the likeliest after
        those before it."""
        blank = ""  # before the next sentence
        for sentence in pieces(self._codec, self._text):
            begun = False
            for piece in self._decoded(sentence):
                if begun:
                    yield piece
                elif piece := piece.lstrip():
                    yield blank + piece
                    begun, blank = True, " "

    def _decoded(self, sentence: str) -> Iterator[str]:
        source = self._codec.read(sentence)
        at = Translating(self._network, self._codec, [source])
        drawn = decode.sampled(at.model, at.first, at.held, temperature=0, banned=at.banned)
        ids: list[int] = []
        said = 0
        for token, _ in zip(drawn, range(int(at.limit)), strict=False):
            if int(token) == END:
                return
            ids.append(int(token))
            text = "".join(self._codec.pieces(ids, source.slots))
            if text.endswith("\ufffd"):  # the rest of a character is still to come
                continue
            new, said = text[said:], len(text)
            if new:
                yield new
