"""A text that arrives letter by letter, and its translation piece by piece."""

import pytest

from elman.errors import UsageError
from elman.tasks.translate.search import translate
from elman.tasks.translate.translator import Translator


def test_the_stream_says_what_greedy_search_says(model: Translator) -> None:
    texts = ["pomon vidas la kato 12345. domon trovas la birdo 54321.", "floron portas la hundo 77777."]
    for text in texts:
        stream = model.stream()
        for letter in text:
            stream.push(letter)
        (greedy,) = translate(model.network, model.codec, [text], beam_width=1)
        assert "".join(stream.words()).rstrip() == greedy[0].text == "".join(model.generate(text)).rstrip()
        assert stream.result() == model.predict(text)
    with pytest.raises(UsageError, match="text must be a string"):
        model.stream().push(3)  # type: ignore[arg-type]
