"""Keyword arguments of `fit` → a task's settings and a training plan, and checks that settings share."""

import difflib
from dataclasses import fields
from typing import Any, TypeVar

from elman.errors import UsageError
from elman.training.loop import Plan, is_number, is_whole

Settings = TypeVar("Settings")
# Steps over which weights are averaged: so many, or this share of a shorter run.
LASTING, LASTING_SHARE = 500, 0.04


def split(
    dials: dict[str, Any], settings: type[Settings], defaults: dict[str, Any] | None = None
) -> tuple[Settings, Plan]:
    """Make both dataclasses from one set of dials; `defaults` are the task's own for these data.

    Raises:
        UsageError: an unknown dial; the message lists the known ones.
    """
    in_settings = {f.name for f in fields(settings)}  # type: ignore[arg-type]
    in_plan = {f.name for f in fields(Plan)}
    chosen = (defaults or {}) | dials
    for name in chosen:
        if name not in in_settings | in_plan:
            near = difflib.get_close_matches(name, in_settings | in_plan, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            known = ", ".join(sorted(in_settings | in_plan))
            raise UsageError(f"there is no setting {name!r}: {hint}there are {known}")
    parts = [{k: v for k, v in chosen.items() if k in names} for names in (in_settings, in_plan)]
    return settings(**parts[0]), Plan(**parts[1])


def averaging(steps: int) -> float:
    """The decay of a running average of the weights for a run of so many steps; 0 for a very short one."""
    return max(0.0, 1 - max(1 / LASTING, 1 / (LASTING_SHARE * steps)))


def dropout(epochs: int) -> float:
    """The default share that is dropped: a text that is read once is not learned by heart, one that is read
    often is. On the Penn Treebank (11 epochs) and DailyDialog (4) so much did far better than 0.35."""
    return min(0.3, 0.1 + epochs / 80)


def check_whole(settings: Any, *names: str) -> None:
    """Raises UsageError unless these fields are whole numbers of at least 1."""
    for name in names:
        if not is_whole(getattr(settings, name)) or getattr(settings, name) < 1:
            raise UsageError(f"{name} must be a whole number of at least 1, not {getattr(settings, name)!r}")


def check_shares(settings: Any, *names: str) -> None:
    """Raises UsageError unless these fields are numbers from 0 to below 1."""
    for name in names:
        if not is_number(getattr(settings, name)) or not 0 <= getattr(settings, name) < 1:
            raise UsageError(f"{name} must be a share from 0 to below 1, not {getattr(settings, name)!r}")


def check_amounts(settings: Any, *names: str) -> None:
    """Raises UsageError unless these fields are finite numbers of 0 or more."""
    for name in names:
        if not is_number(getattr(settings, name)) or not 0 <= getattr(settings, name) < float("inf"):
            raise UsageError(f"{name} must be a number of 0 or more, not {getattr(settings, name)!r}")
