"""The lesson's pages: Markdown whose Python runs here, as it does in the tests of the documentation."""

import contextlib
import io
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from elman.errors import UsageError
from elman.pretrained import MISSING, PREFIX, all_models

HERE: Final = Path(__file__).parent
# The wheel brings the pages along; in the repository they are the site's.
FOLDER: Final = HERE / "pages" if (HERE / "pages").is_dir() else HERE.parents[2] / "docs/lesson"
BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$\n?", re.MULTILINE | re.DOTALL)
PICTURE: Final = re.compile(r"^!\[(.*?)\]\((\S+)\)$", re.MULTILINE)
COMMENT: Final = re.compile(r"<!--.*?-->\n?", re.DOTALL)
LINK: Final = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]+\)")  # to a page that a terminal can't open


@dataclass(frozen=True)
class Step:
    """A part of a page: prose, or code with what it printed, or a picture that code before it has written."""

    kind: str  # "prose", "code" or "picture"
    text: str  # of a picture: what it shows
    printed: str = ""  # or why the code did not run: a model in the box is not installed
    picture: str = ""  # the file's name


@dataclass
class Page:
    """A page of the lesson.

    Attributes:
        number: from 1.
        name: of its file, without ".md".
        title: its heading.
        text: Markdown below the heading.
        values: after `steps`, the variables of the page's code.
        seconds: after `steps`, of its code.
    """

    number: int
    name: str
    title: str
    text: str
    values: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def steps(self, folder: Path) -> Iterator[Step]:
        """Run the page, which writes its pictures into a folder, and yield its parts as they come."""
        position = 0
        for block in BLOCK.finditer(self.text):
            yield from _prose(self.text[position : block.start()])
            position = block.end()
            language, code = block.groups()
            if language == "python":
                yield Step("code", code, self._run(code, folder))
            elif language != "text":  # which is what the code before it has printed once
                yield Step("code", code)
        yield from _prose(self.text[position:])

    def _run(self, code: str, folder: Path) -> str:
        if PREFIX in code and not all_models():
            return f"{MISSING}\n"
        started, printed = time.perf_counter(), io.StringIO()
        with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
            exec(compile(code, f"{self.name}.md", "exec"), self.values)
        self.seconds += time.perf_counter() - started
        return printed.getvalue()

    def figures(self) -> dict[str, Any]:
        """Return the page's numbers, and its results that have a `to_dict`, as plain values by name."""
        return {name: _plain(value) for name, value in self.values.items() if _is_figure(value)}


def all_pages() -> list[Page]:
    """Return the pages in order."""
    pages = []
    for number, file in enumerate(sorted(FOLDER.glob("[0-9]*.md")), 1):
        heading, _, text = file.read_text(encoding="utf-8").partition("\n")
        pages.append(Page(number, file.stem, heading.lstrip("# "), text))
    return pages


def chosen_pages(numbers: list[int] | None) -> list[Page]:
    """Return the pages of these numbers, in order; all without numbers. Raises UsageError for another one."""
    pages = all_pages()
    for number in numbers or []:
        if not 1 <= number <= len(pages):
            raise UsageError(f"the lesson has pages 1 to {len(pages)}, and no page {number}")
    return [page for page in pages if not numbers or page.number in numbers]


def _prose(text: str) -> Iterator[Step]:
    text = LINK.sub(r"\1", COMMENT.sub("", PICTURE.sub(r"\0\1\0\2\0", text)))
    prose, *rest = text.split("\0")
    yield from _paragraphs(prose)
    for shown, name, after in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        yield Step("picture", shown, picture=name)
        yield from _paragraphs(after)


def _paragraphs(text: str) -> Iterator[Step]:
    if text.strip():
        yield Step("prose", text.strip())


def _is_figure(value: Any) -> bool:
    return isinstance(value, bool | int | float) or (
        hasattr(value, "to_dict") and not isinstance(value, type | Mapping)
    )


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float) else value.to_dict()
