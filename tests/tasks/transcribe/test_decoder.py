"""Words from log-probabilities, by several kinds of search."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from elman.errors import UsageError
from elman.tasks.transcribe.decoder import Decoder, Lexicon, Weights, ended
from elman.tasks.transcribe.text import Alphabet

TEXTS = ["call mum", "call me", "stop now", "call mum now"]
LETTERS = Alphabet.of(TEXTS, "character")
LEXICON = Lexicon.of(TEXTS)


def spelled(text: str, doubt: dict[int, str] | None = None, alphabet: Alphabet = LETTERS) -> Tensor:
    """Return log-probabilities that say a text, each label followed by a blank; in `doubt`, another label is
    nearly as likely."""
    ids = alphabet.encode(text)
    assert ids is not None
    rows = torch.full((2 * len(ids), len(alphabet)), 1e-4)
    rows[1::2, 0] = 1.0
    for k, label in enumerate(ids):
        rows[2 * k, label] = 1.0
        if doubt and k in doubt:
            rows[2 * k, alphabet.encode(doubt[k])] = 0.9
    return (rows / rows.sum(1, keepdim=True)).log()


def text(decoder: Decoder, log_probs: Tensor) -> str:
    return decoder.alphabet.decode(token.token for token in decoder.tokens(log_probs))


PLAIN = Decoder(LETTERS, LEXICON)


def test_without_help_the_likeliest_labels_are_taken() -> None:
    assert text(PLAIN, spelled("cal map")) == "cal map" and not PLAIN.searches


def test_a_language_model_decides_where_the_network_is_in_doubt() -> None:
    unsure = spelled("call mus", {7: "m"})
    assert text(PLAIN, unsure) == "call mus"
    helped = Decoder(LETTERS, LEXICON, Weights(1.0, 0.0))
    assert text(helped, unsure) == "call mum"
    words = Alphabet.of(TEXTS, "word")
    unsure = spelled("call now", {1: "mum"}, words)
    assert text(Decoder(words, LEXICON), unsure) == "call now"
    assert text(Decoder(words, LEXICON, Weights(1.0, 0.0)), unsure) == "call mum"


def test_a_closed_list_of_phrases_is_all_that_comes_out() -> None:
    closed = Decoder(LETTERS, LEXICON, Weights(1.0, 0.0)).with_options(phrases=["Stop!", "call me"])
    assert text(closed, spelled("call mum")) == "call me"
    assert text(closed, spelled("stop call me")) == "stop call me"


def test_a_phrase_that_was_not_said_is_unsure() -> None:
    def least(decoder: Decoder, said: Tensor) -> float:
        return min(token.confidence for token in decoder.tokens(said))

    closed = PLAIN.with_options(phrases=["stop", "call me"])
    assert least(closed, spelled("call me")) > 0.99 > 0.01 > least(closed, spelled("call mum"))
    words = Decoder(Alphabet.of(["stop", "now"], "word"), LEXICON).of_phrases(["stop", "now"])
    said = torch.tensor([[0.9, 0.05, 0.05], [0.4, 0.6, 0.0], [0.4, 0.6, 0.0], [0.9, 0.1, 0.0]]).log()
    assert not words.searches and 0.6 < least(words, said) < 0.9  # twice likelier than not


def test_expected_words_are_preferred() -> None:
    unsure = spelled("call mus", {7: "m"})
    assert text(PLAIN.with_options(hot_words=["mum"]), unsure) == "call mum"
    assert text(PLAIN.with_options(hot_words="mum"), spelled("stop")) == "stop"


def test_subwords_are_searched_as_characters_are() -> None:
    alphabet = Alphabet.of(TEXTS * 10, "subword")
    assert {"call", "mum", "now"} <= {*alphabet.labels} and "stop" not in alphabet.labels
    plain, unsure = Decoder(alphabet, LEXICON), spelled("call s", {2: "mum"}, alphabet)
    assert text(plain, unsure) == "call s"
    options: dict[str, Any]
    for options in ({"hot_words": ["mum"]}, {"phrases": ["call mum", "stop"]}):
        assert text(plain.with_options(**options), unsure) == "call mum"
    helped = Decoder(alphabet, LEXICON, Weights(1.0, 0.0))
    assert text(helped, unsure) == "call mum"
    said = spelled("stop now call me", alphabet=alphabet)
    for decoder in (plain, helped, plain.with_options(phrases=[*TEXTS, "stop now call me"])):
        words, rest = alphabet.split(decoder.tokens(said))
        assert [alphabet.decode(one.token for one in word) for word in [*words, rest]] == [
            *("stop", "now", "call", "me")
        ]


@pytest.mark.parametrize(
    ("phrases", "problem"),
    [
        ([], "a list of phrases"),
        (["..."], "a list of phrases"),
        ([3], "a list of phrases"),
        (["call zoe"], "'call zoe' has the character 'z', which this model has never heard"),
    ],
)
@pytest.mark.parametrize("name", ["phrases", "hot_words"])
def test_phrases_that_cannot_be_said_are_refused(name: str, phrases: list[str], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        PLAIN.with_options(**{name: phrases})


@pytest.mark.parametrize("weights", [None, Weights(0.8, 1.0)])
def test_live_and_whole_agree(weights: Weights | None) -> None:
    decoder = Decoder(LETTERS, LEXICON, weights)
    log_probs = spelled("call me stop now")
    stream, tokens = decoder.start(live=True), []
    for at in range(0, len(log_probs), 5):
        tokens += stream.push(log_probs[at : at + 5])
    tokens += ended(stream)
    assert [token.token for token in tokens] == [token.token for token in decoder.tokens(log_probs)]


def test_a_lexicon_comes_back() -> None:
    again = Lexicon.restore(list(LEXICON.words), torch.from_numpy(LEXICON.ids))
    assert again.words == LEXICON.words and np.array_equal(again.ids, LEXICON.ids) and again.says_sentences
    assert not Lexicon.of(["yes", "no", "yes"]).says_sentences


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (["a", "a"], [0, 1, 0]),
        (["A"], [0, 1, 0]),
        (["a b"], [0, 1, 0]),
        (["a"], [0, 2, 0]),
        (["a"], [0, -1, 0]),
        (["a"], [0, 1]),
        (["a"], []),
        ([3], [0, 1, 0]),
    ],
)
def test_a_damaged_lexicon_is_refused(words: list[str], ids: list[int]) -> None:
    with pytest.raises(ValueError, match="words"):
        Lexicon.restore(words, torch.tensor(ids))
