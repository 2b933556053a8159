"""The small models that come with elman, by name: `elman.load("elman:sentiment")`.

They lie in the package elman_models, the folder `models/` of the source, whose make.py trains them.
"""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from elman.errors import ArtifactError, UsageError

PREFIX: Final = "elman:"
PACKAGE: Final = "elman_models"
SOURCE: Final = Path(__file__).parents[2] / "models"  # in a clone
INDEX: Final = "index.json"
CARD_FILE: Final = "CARD.md"
MISSING: Final = "the package elman-models is not installed: run pip install ./models in a clone of elman"


@dataclass(frozen=True)
class Score:
    """A score on data that training did not see, beside that of the best plain method.

    Attributes:
        label: of the score, such as "accuracy".
        baseline: the name of that method.
        tested_on: the data.
    """

    label: str
    value: float
    baseline: str
    baseline_value: float
    lower_is_better: bool
    tested_on: str

    def __str__(self) -> str:
        arrow = " ↓" if self.lower_is_better else ""
        return f"{self.label}{arrow} {self.value:.3g} ({self.baseline} {self.baseline_value:.3g})"


@dataclass(frozen=True)
class Pretrained:
    """A model, and what a user wants to know before it is loaded.

    Attributes:
        folder: of the saved model.
        about: what it does, in a few words.
        data: what it learned from.
        licence: of the weights, which is that of the data.
        example: a command.
    """

    name: str
    folder: Path
    task: str
    about: str
    score: Score
    data: str
    licence: str
    example: str

    @property
    def bytes(self) -> int:
        """The size of its files."""
        return sum(file.stat().st_size for file in self.folder.iterdir())

    @property
    def card(self) -> str:
        """Data, licence, attribution, limits and scores, in Markdown."""
        return (self.folder / CARD_FILE).read_text(encoding="utf-8")


def all_models() -> list[Pretrained]:
    """Return the models that are installed or, in a clone, that the source holds; none without them.

    Raises ArtifactError if their list is damaged.
    """
    home = _home()
    if home is None:
        return []
    try:
        listed = json.loads((home / INDEX).read_text(encoding="utf-8"))
        return [
            Pretrained(f"{PREFIX}{name}", home / name, **(entry | {"score": Score(**entry["score"])}))
            for name, entry in listed.items()
        ]
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ArtifactError(f"{home / INDEX} is damaged: install elman-models again") from error


def pretrained(name: str) -> Pretrained:
    """Return the model of a name such as "elman:sentiment" or "sentiment".

    Raises UsageError if there is none of that name, or none at all.
    """
    models = {model.name: model for model in all_models()}
    if not models:
        raise UsageError(MISSING)
    full = name if name.startswith(PREFIX) else f"{PREFIX}{name}"
    if full not in models:
        raise UsageError(f"there is no model {full!r:.60}: there are {', '.join(models)}")
    return models[full]


def folder_of(name: Any) -> Any:
    """Return the folder of a model named "elman:NAME"; anything else as it is.

    Raises UsageError as `pretrained` does.
    """
    return pretrained(str(name)).folder if is_name(name) else name


def known_in(folder: Path) -> Pretrained | None:
    """Return what is known of the model in a folder if it comes with elman. Raises ArtifactError if the list
    of those is damaged."""
    home = _home()
    if home is None or folder.resolve().parent != home.resolve():
        return None
    return next((model for model in all_models() if model.folder.name == folder.name), None)


def is_name(name: Any) -> bool:
    """Return whether this is the name of a model that comes with elman, rather than a path."""
    return isinstance(name, str | Path) and str(name).startswith(PREFIX)


def refuse_name(name: Any, what: str) -> None:
    """Raise UsageError where a model that comes with elman is named as a place to write to."""
    if is_name(name):
        whose = f"{PREFIX} begins the names of models that come with elman"
        raise UsageError(f"{name!s:.60} can't be written: {whose}; name {what}")


def _home() -> Path | None:
    spec = importlib.util.find_spec(PACKAGE)
    installed = spec.submodule_search_locations or [] if spec else []
    places = [*map(Path, installed), SOURCE / "src" / PACKAGE]
    return next((place for place in places if (place / INDEX).is_file()), None)
