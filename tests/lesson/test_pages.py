"""Pages of the lesson: parts, printed output, figures; and that the wheel has them all."""

import tomllib
from pathlib import Path

import pytest

from elman.errors import UsageError
from elman.lesson import pages

ROOT = Path(__file__).parents[2]
TEXT = """# A title

Prose with [a link](../away.md) and [the web](https://example.org).

```python
class Result:
    def to_dict(self):
        return {"a": 1}


number, result, name = 3, Result(), "no figure"
open("drawn.svg", "w").close()
print(number)
```

<!-- numbers vary -->
```text
4
```

![What it shows](drawn.svg)

```sh
elman show lstm
```

```python
print(number + 1)
```
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pages.Page:
    (tmp_path / "1-first.md").write_text(TEXT)
    (tmp_path / "index.md").write_text("# None of the pages")
    monkeypatch.setattr(pages, "FOLDER", tmp_path)
    (only,) = pages.all_pages()
    return only


def test_a_page_runs_step_by_step(page: pages.Page, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    steps = [*page.steps(folder)]
    assert [step.kind for step in steps] == ["prose", "code", "picture", "code", "code"]
    assert steps[0].text == "Prose with a link and [the web](https://example.org)."
    assert (steps[2].text, steps[2].picture) == ("What it shows", "drawn.svg")
    assert [step.printed for step in steps] == ["", "3\n", "", "", "4\n"]
    assert [file.name for file in folder.iterdir()] == ["drawn.svg"]
    assert (page.number, page.name, page.title) == (1, "1-first", "A title")
    assert page.figures() == {"number": 3, "result": {"a": 1}}
    assert page.seconds > 0


def test_code_that_reads_a_model_in_the_box_runs_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = 'import elman\n\nprint(elman.load("elman:sales").task)\n'
    page = pages.Page(1, "1-first", "A title", f"```python\n{code}```\n\n```python\nprint(elman)\n```\n")
    (first, _) = page.steps(tmp_path)
    assert (first.text, first.printed) == (code, "forecast\n")
    monkeypatch.setattr(pages, "all_models", list)
    page = pages.Page(1, "1-first", "A title", f"```python\n{code}```\n\n```python\nprint(1)\n```\n")
    (first, second) = page.steps(tmp_path)
    assert first.printed.startswith("the package elman-models is not installed")
    assert second.printed == "1\n"


def test_pages_are_chosen_by_number() -> None:
    numbers = [page.number for page in pages.all_pages()]
    assert numbers == [*range(1, 9)]
    assert [page.number for page in pages.chosen_pages(None)] == numbers
    assert [page.name for page in pages.chosen_pages([3, 1])] == ["1-sequence", "3-state"]
    for wrong in (0, 9, -1):
        with pytest.raises(UsageError, match=f"the lesson has pages 1 to 8, and no page {wrong}"):
            pages.chosen_pages([wrong])


def test_every_page_has_a_title_a_way_on_and_is_in_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    index = (ROOT / "docs/lesson/index.md").read_text()
    each = pages.all_pages()
    assert packed == {f"docs/lesson/{p.name}.md": f"elman/lesson/pages/{p.name}.md" for p in each}
    for page in each:
        assert f"{page.number}. [{page.title}]({page.name}.md)" in index
        following = index if page.number == len(each) else each[page.number].name
        assert f"({'index' if following is index else following}.md)" in page.text


def test_every_picture_of_a_page_is_committed() -> None:
    for page in pages.all_pages():
        for _, name in pages.PICTURE.findall(page.text):
            file = ROOT / "docs/lesson" / name
            assert f'"{name}"' in page.text.replace(f"]({name})", "")
            assert 0 < file.stat().st_size < 200_000, name
