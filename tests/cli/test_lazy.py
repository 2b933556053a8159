"""Groups of commands that are imported when they are called."""

from typing import ClassVar

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from elman.cli.lazy import LazyGroup, TextCommand, single

made: list[str] = []


class Two(LazyGroup):
    NAMES: ClassVar = ("first", "second")

    @staticmethod
    def make(name: str) -> typer.Typer:
        made.append(name)

        def command(count: int = 1) -> None:
            typer.echo(f"{name} {count}")

        return single(command)


@pytest.fixture
def program() -> typer.Typer:
    made.clear()
    app = typer.Typer(cls=Two)
    app.callback()(lambda: None)
    return app


def test_only_the_command_that_is_called_is_made(program: typer.Typer) -> None:
    done = CliRunner().invoke(program, ["second", "--count", "3"])
    assert (done.exit_code, done.output, made) == (0, "second 3\n", ["second"])


def test_help_lists_the_commands_in_their_order(program: typer.Typer) -> None:
    done = CliRunner().invoke(program, ["--help"])
    assert done.output.index("first") < done.output.index("second")


def test_an_unknown_command_is_named_with_one_that_is_near(program: typer.Typer) -> None:
    done = CliRunner().invoke(program, ["secnd"])
    assert done.exit_code == 2
    assert "'second'" in done.output
    assert made == []


def test_a_group_must_say_how_its_commands_are_made() -> None:
    class Bare(LazyGroup):
        NAMES: ClassVar = ("one",)

    app = typer.Typer(cls=Bare)
    app.callback()(lambda: None)
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert list(commands) == ["one"]
    with pytest.raises(NotImplementedError):
        commands["one"]


def test_the_first_of_too_many_words_is_named(program: typer.Typer) -> None:
    done = CliRunner().invoke(program, ["first", "a good", "film"])
    assert done.exit_code == 2
    assert "no place for 'a good'" in done.output and "quote" not in done.output


def test_too_many_words_of_a_text_are_told_what_to_do() -> None:
    done = CliRunner().invoke(single(lambda text: None, kind=TextCommand), ["The", "movie"])
    assert done.exit_code == 2
    assert "no place for 'movie': quote a text" in done.output
