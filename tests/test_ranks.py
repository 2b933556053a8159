"""Which process prints, saves and asks for the lock."""

import pytest

from elman import ranks


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({}, True),
        ({"RANK": "0", "WORLD_SIZE": "2"}, True),
        ({"RANK": "1", "WORLD_SIZE": "2"}, False),
        ({"RANK": "10", "WORLD_SIZE": " 16 "}, False),
        ({"RANK": "1"}, True),
        ({"RANK": "1", "WORLD_SIZE": "1"}, True),
        ({"RANK": "1", "WORLD_SIZE": ""}, True),
        ({"RANK": "1", "WORLD_SIZE": "two"}, True),  # which training refuses
    ],
)
def test_only_other_ranks_of_several_processes_are_not_the_first(
    variables: dict[str, str], first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ranks.is_first() is first


@pytest.mark.parametrize(
    ("world", "several"), [("2", True), (" 16 ", True), ("1", False), ("two", False), ("", False)]
)
def test_several_processes_are_those_of_torchrun(
    world: str, several: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", world)
    assert ranks.are_several() is several
