"""Run the code of a Markdown page: Python, `elman` commands, and the output that the page shows for them."""

import contextlib
import io
import re
import shlex
from collections.abc import Callable
from pathlib import Path

from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser

Run = Callable[..., tuple[int, str, str]]
NUMBER = re.compile(r"-?\d[\d,.]*")


def run_page(page: Path, run: Run) -> int:
    """Run every block in turn; how many there were.

    ```python runs as it stands; of ```sh the lines that begin with `elman` run through `run` and scripts must
    exist; ```text is what the block before it printed, up to "..." and, after <!-- numbers vary -->, numbers.
    """
    printed = io.StringIO()

    def capture(evaluate: Callable[[Example], object]) -> Callable[[Example], None]:
        def evaluator(example: Example) -> None:
            printed.seek(0)
            printed.truncate()
            with contextlib.redirect_stdout(printed):
                evaluate(example)

        return evaluator

    def shell(example: Example) -> None:
        for line in example.parsed.replace("\\\n", " ").splitlines():
            run_line(line, run, page)

    def compare(example: Example) -> None:
        before = example.document.text[: example.region.start]
        shown, actual = example.parsed.rstrip(), printed.getvalue().rstrip()
        if before.rstrip().endswith("<!-- numbers vary -->"):
            shown, actual = (without_numbers(text) for text in (shown, actual))
        pattern = re.escape(shown).replace(re.escape("..."), ".*?")
        assert re.fullmatch(pattern, actual, re.DOTALL), (
            f"the page shows\n{shown}\nbut this was printed\n{actual}"
        )

    parsers = [
        CodeBlockParser("python", capture(PythonEvaluator())),
        CodeBlockParser("sh", capture(shell)),
        CodeBlockParser("text", compare),
        SkipParser(),
    ]
    examples = list(Sybil(parsers=parsers, pattern="*.md").parse(page).examples())
    for example in examples:
        example.evaluate()
    return len(examples)


def run_line(line: str, run: Run, page: Path) -> None:
    """One line of a shell block."""
    words = shlex.split(line, comments=True)
    stdin = None
    if words[:1] == ["cat"] and "|" in words:
        stdin, words = Path(words[1]).read_text(), words[words.index("|") + 1 :]
    if words[:1] == ["elman"]:
        code, _, err = run(*words[1:], stdin=stdin)
        assert code == 0, f"{line}: {err}"
    for script in (word for word in words if re.fullmatch(r"(bench|examples|docs)/\S+\.py", word)):
        root = next(folder for folder in page.parents if (folder / "pyproject.toml").exists())
        assert (root / script).exists(), f"{line}: there is no {script}"


def without_numbers(text: str) -> str:
    """The text with # for each number and one blank for many: a table of scores without the scores."""
    return re.sub(r"[ ]+", " ", NUMBER.sub("#", text))
