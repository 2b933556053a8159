"""A character-level language model of any text file, which then writes.

    python examples/char_rnn.py plays.txt "ROMEO:"

Prints the perplexity beside that of a Kneser-Ney n-gram trained on the same text, the likeliest next words,
and a page drawn character by character from a state of constant size.
"""

import sys
from pathlib import Path
from typing import Any

import elman


def main(text: str | Path, prompt: str, length: int = 500, **settings: Any) -> str:
    model = elman.LanguageModel.fit(text, **settings)
    print(model.validation)
    print("after", repr(prompt), "comes", ", ".join(f"{word!r} {p:.0%}" for word, p in model.predict(prompt)))
    written = "".join(model.generate(prompt, length, temperature=0.7, seed=1))
    print(prompt + written)
    return written


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
