"""The models of a server by name. Weights are read when a model is first used, and anew when a training has
replaced them; sessions that are open then keep the model that they began with."""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from elman import artifact
from elman.errors import ElmanError, UsageError, suggestion
from elman.pretrained import folder_of, known_in
from elman.serve.answers import ApiError
from elman.serve.limits import Limits
from elman.serve.loaded import Loaded
from elman.serve.log import note
from elman.serve.ticker import Tally

NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)
MAX_CARD_BYTES: Final = 1 << 20
Version = tuple[int, ...]


class Shelf:
    """The models of a server by name."""

    def __init__(self, folders: Mapping[str, Path], limits: Limits) -> None:
        """Read the configuration of each folder. Raises the errors of `elman.load` where it is no model."""
        self._entries = {name: Entry(name, folder, limits) for name, folder in folders.items()}

    def __iter__(self) -> Iterator["Entry"]:
        return iter(self._entries.values())

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> "Entry":
        """Return a model by its name. Raises ApiError if there is none."""
        if name not in self._entries:
            hint = suggestion(name, self._entries) or f": there are {', '.join(self._entries) or 'none'}"
            raise ApiError(404, f"there is no model {name!r:.100}{hint}", "model", "model_not_found")
        return self._entries[name]


class Entry:
    """A model on the shelf.

    Attributes:
        task, card, scores: of the version in memory; before the first is, of what is in the folder.
        created: when that was saved, in seconds since 1970.
        known: what is known of a model that comes with elman, else None.
        tally: of the sessions of all its versions.
    """

    def __init__(self, name: str, folder: Path, limits: Limits) -> None:
        self.name, self._folder, self._limits = name, folder, limits
        self.tally = Tally()
        self._current: Loaded | None = None
        self._loading: asyncio.Task[None] | None = None
        self.known = known_in(folder)
        self._show(self._look())

    def _look(self) -> "_Look":
        """Read the configuration and the card, not the weights."""
        self._version = _version(self._folder)
        config = artifact.read_config(self._folder)
        with (self._folder / "README.md").open("rb") as file:
            card = file.read(MAX_CARD_BYTES).decode(errors="replace")
        return _Look(config["task"], config["scores"], card, self._version[0] // 1_000_000_000)

    def _show(self, look: "_Look") -> None:
        self.task, self.scores, self.card, self.created = look

    @property
    def title(self) -> str:
        """What the model is, in a phrase."""
        if self.known is not None:
            return self.known.about[0].upper() + self.known.about[1:]
        return self.card.partition("\n")[0].removeprefix("# ")

    @property
    def is_loaded(self) -> bool:
        return self._current is not None

    @property
    def current(self) -> Loaded | None:
        """The version in memory, if there is one."""
        return self._current

    @property
    def waiting(self) -> int:
        """How many whole requests wait or are answered."""
        return 0 if self._current is None else self._current.waiting

    async def loaded(self) -> Loaded:
        """Return the model. The first call waits until it is in memory; when the folder holds a newer one, it
        is the old one until the newer is in memory. Raises ApiError if it can't be loaded, TimeoutError if
        that takes longer than an answer may."""
        if self._loading is None and (self._current is None or _version(self._folder) != self._version):
            self._loading = asyncio.create_task(self._load())
        if self._current is None:
            assert self._loading is not None
            # a client that goes away must not stop the loading for the others
            async with asyncio.timeout(self._limits.deadline):
                await asyncio.shield(self._loading)
        if self._current is None:
            raise ApiError(503, f"the model {self.name!r} can't be loaded: the server's log says why")
        return self._current

    async def _load(self) -> None:
        """Load what is in the folder, in place of what was loaded before."""
        try:
            look = self._look()
            fresh = await asyncio.to_thread(Loaded, self._folder, self._limits, self.tally)
        except (ElmanError, OSError) as error:
            note("not loaded", model=self.name, error=type(error).__name__, reason=str(error))
        else:
            self._current = fresh
            self._show(look)  # not before: until then the old version answers
            note("loaded", model=self.name, seconds=round(fresh.seconds, 3))
        finally:
            self._loading = None

    def close(self) -> None:
        """Release the model at shutdown."""
        if self._current is not None:
            self._current.close()


class _Look(NamedTuple):
    """The configuration and the card of a model."""

    task: str
    scores: dict[str, Any]
    card: str
    created: int


def _version(folder: Path) -> Version:
    """Return what changes when a model is saved into a folder; zeros while it is not there."""
    try:
        status = (folder / "config.json").stat()
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino


def _is_model(name: str) -> bool:
    """Whether a name is that of a model that comes with elman, or of a folder with one."""
    try:
        return artifact.is_artifact(Path(folder_of(name)))
    except (ElmanError, ValueError):
        return False


def named_folders(models: Sequence[str]) -> dict[str, Path]:
    """Return folders by name, from "runs/reviews" (its last part is the name), "name=runs/reviews" and
    "elman:sentiment".

    Raises UsageError for a name that can't be in an address or that two have, and as `folder_of` does.
    """
    folders: dict[str, Path] = {}
    for model in models:
        name, equals, folder = model.partition("=")
        if not equals or not NAME.fullmatch(name):
            if equals and _is_model(folder) and not _is_model(model):
                raise UsageError(
                    f"{name!r} can't be in an address: give a name of letters, digits, . - and _"
                )
            name, folder = Path(folder_of(model)).resolve().name, model
        if not folder:
            raise UsageError(f"{model!r} names no folder: give one, as in {name}=runs/reviews")
        if not NAME.fullmatch(name):
            raise UsageError(f"{name!r} can't be in an address: give a name of letters, as in name={folder}")
        if name in folders:
            raise UsageError(
                f"two models are called {name!r}: give one of them another name, as in other={folder}"
            )
        folders[name] = Path(folder_of(folder))
    return folders
