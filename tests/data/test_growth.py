"""No text takes time that grows like the square of its length: readers, tokenizers, searches, suggestions."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from elman.data.table.table import read_table
from elman.data.text.conversations import read_conversations, turns_of
from elman.data.text.corpus import is_pretokenized
from elman.data.text.pairs import read_pairs
from elman.data.text.tokenizers import SubwordTokenizer, WordTokenizer
from elman.data.text.vocabulary import SubwordVocabulary, Vocabulary
from elman.errors import DataError, suggestion
from elman.tasks.chat import baseline as chat
from elman.tasks.generate.next_words import trailing_word
from elman.tasks.translate import baseline, codec, copying
from tabular import write

SUBWORDS = SubwordTokenizer.train(["the cat sat on the mat's don't éà"] * 9, 300)
WORDS, SPACED = WordTokenizer((), True), Vocabulary("space", ())
FUNCTIONS: dict[str, Callable[[str], Any]] = {
    "words": WORDS.tokens,
    "end of words": WORDS.stable_prefix,
    "subwords": SUBWORDS.encode,
    "pieces of subwords": SubwordVocabulary(SUBWORDS).pieces,
    "end of subwords": SUBWORDS.stable_prefix,
    "words of a language model": Vocabulary("word", ()).pieces,
    "words between spaces": SPACED.pieces,
    "pretokenized": is_pretokenized,
    "sentences": codec.sentences,
    "copied words": copying.WORD.findall,
    "last word": trailing_word,
    "words of the retrieval": chat.words,
    "dictionary": baseline.WordDictionary({}).translate,
    "suggestion": lambda text: suggestion(text, [text[:-1], text[1:]]),
}
UNITS = (
    "a",
    " ",
    "'s",
    "’ll",
    "n't",
    "1.",
    "1,",
    "a-",
    '!"',
    "\r\n",
    "e\u0301",
    "\u0301",
    "👍🏽\u200d",
    "🇩",
    "<br",
    "中'",
)
MIN_SECONDS = 0.05  # below which a time is not measured well
SMALL, FACTOR = 2000, 8


def _seconds(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def _require_linear(call: Callable[[int], Any]) -> None:
    """Fail if eight times the input takes more than forty times as long; quadratic would be 64 times."""
    small = min(_seconds(lambda: call(SMALL)) for _ in range(2))
    large = _seconds(lambda: call(FACTOR * SMALL))
    if large > 5 * FACTOR * max(small, MIN_SECONDS / FACTOR):
        large = min(large, *(_seconds(lambda: call(FACTOR * SMALL)) for _ in range(2)))
    assert large <= 5 * FACTOR * max(small, MIN_SECONDS / FACTOR), (small, large)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_repeated_text(name: str) -> None:
    for unit in UNITS:
        for before, after in (("x", ""), ("", "!")):
            _require_linear(lambda n, u=unit, b=before, a=after: FUNCTIONS[name](b + u * n + a))  # type: ignore[misc]


@pytest.mark.parametrize("tokenizer", [WORDS, SUBWORDS, SPACED, Vocabulary("word", ())])
def test_a_word_without_end_pushed_letter_by_letter(tokenizer: Any) -> None:
    def push(count: int) -> None:
        rest = ""
        for _ in range(count // 4):
            rest += "abcd"
            rest = rest[tokenizer.stable_prefix(rest) :]
        assert len(rest) < 10_000

    _require_linear(push)


def test_bytes_that_never_become_a_character() -> None:
    first = next(i for i in range(2, 258) if SUBWORDS.decode([i]) == "\ufffd")
    _require_linear(lambda n: SUBWORDS.additions([first] * n))


def test_messages_of_one_role() -> None:
    message = {"role": "user", "content": "hello " * 20}
    _require_linear(lambda n: turns_of([message] * n, "list"))


FILES: dict[str, Callable[[int], str]] = {
    "quotes.csv": lambda n: 'a,b\n"' + '""' * n + '",1\n',
    "open.csv": lambda n: "a,b\n" + '"x""y\n' * n,
    "quotes.tsv": lambda n: "a\tb\n" + '"x""\t"\n' * n,
    "blank.csv": lambda n: "a,b\n" + "\n" * n + "1,2\n",
    "commas.csv": lambda n: "," * (n // 4) + "\n" + "," * (n // 4),
    "deep.jsonl": lambda n: '{"a": ' + "[" * min(n // 40, 400) + "]" * min(n // 40, 400) + "}\n",
    "wide.jsonl": lambda n: "\n".join(json.dumps({f"k{i}": [i]}) for i in range(n // 2)),
    "list.jsonl": lambda n: json.dumps({"a": [[1], ["x"]] * (n // 8)}),
    "object.jsonl": lambda n: json.dumps({"a": {f"k{i}": i for i in range(n)}}),
    "turns.jsonl": lambda n: json.dumps({"turns": ["a\r\u2028b"] * n}),
    "lines.txt": lambda n: "a\t\r" * n,
}


@pytest.mark.parametrize("name", FILES)
def test_files(tmp_path: Path, name: str) -> None:
    for read in (read_table, read_pairs, read_conversations):
        for skip in (False, True):

            def attempt(count: int, read: Any = read, skip: bool = skip) -> None:
                path = write(tmp_path, name, FILES[name](count))
                try:
                    read(path, skip_bad=skip)
                except DataError as problem:
                    assert len(str(problem)) < 1000

            _require_linear(attempt)
