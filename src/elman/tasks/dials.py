"""Keyword arguments of `fit` → a task's settings and a training plan."""

import difflib
from dataclasses import fields
from typing import Any, TypeVar

from elman.errors import UsageError
from elman.training import Plan

Settings = TypeVar("Settings")


def split(
    dials: dict[str, Any], settings: type[Settings], defaults: dict[str, Any] | None = None
) -> tuple[Settings, Plan]:
    """Make both dataclasses from one set of dials; `defaults` are the task's own for the plan.

    Raises:
        UsageError: an unknown dial; the message lists the known ones.
    """
    in_settings = {f.name for f in fields(settings)}  # type: ignore[arg-type]
    in_plan = {f.name for f in fields(Plan)}
    for name in dials:
        if name not in in_settings | in_plan:
            near = difflib.get_close_matches(name, in_settings | in_plan, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            known = ", ".join(sorted(in_settings | in_plan))
            raise UsageError(f"there is no setting {name!r}: {hint}there are {known}")
    plan = (defaults or {}) | {k: v for k, v in dials.items() if k in in_plan}
    return settings(**{k: v for k, v in dials.items() if k in in_settings}), Plan(**plan)
