"""Groups whose commands are imported when they are called, so that none waits for what another imports."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

Maker = Callable[[str], typer.Typer]  # of the name of a command


class _Commands(Mapping[str, Any]):
    """Commands by name, each made when it is asked for."""

    def __init__(self, names: tuple[str, ...], make: Maker) -> None:
        self._names, self._make, self._made = names, make, dict[str, Any]()

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = get_command(self._make(name))
            self._made[name].name = name
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class LazyGroup(TyperGroup):
    """A group whose commands are named by `NAMES`, in the order in which help lists them."""

    NAMES: ClassVar[tuple[str, ...]]

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings | {"commands": _Commands(self.NAMES, self.make)})

    @staticmethod
    def make(name: str) -> typer.Typer:
        """Return the program of one command."""
        raise NotImplementedError


class OneCommand(TyperCommand):
    """A command that names the first of too many words."""

    hint = ""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.allow_extra_args = True
        more = super().parse_args(ctx, args)
        if more and not ctx.resilient_parsing:
            ctx.fail(f"there is no place for {more[0]!r}{self.hint}")
        return more


class TextCommand(OneCommand):
    """A command whose last argument may be a text, which has too many words if it isn't quoted."""

    hint = ": quote a text of several words; several texts go in a file, a line each"


def in_paragraphs(command: Callable[..., None]) -> str:
    """Return a function's docstring with each paragraph in one line: a terminal wraps it at its own width."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(command) or "")


def single(
    command: Callable[..., None], panel: str | None = None, kind: type[OneCommand] = OneCommand
) -> typer.Typer:
    """Return the program of one function; `panel` heads it in the help of its group."""
    program = typer.Typer(add_completion=False, rich_markup_mode="rich")
    program.command(cls=kind, help=in_paragraphs(command), rich_help_panel=panel)(command)
    return program
