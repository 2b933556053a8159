"""Defaults of language models that follow from the text."""

import pytest

from elman.errors import UsageError
from elman.tasks.generate.settings import MAX_EPOCHS, Settings, defaults
from elman.tasks.settings import split_choices


def test_a_short_text_is_read_more_often() -> None:
    short, long = defaults(1_000, {}), defaults(100_000_000, {})
    assert short["epochs"] == MAX_EPOCHS and long["epochs"] == 1
    assert short["dropout"] > long["dropout"] and short["patience"] > long["patience"]
    assert defaults(1_000, {"epochs": 2})["patience"] == 3


def test_every_default_is_a_setting() -> None:
    chosen, plan = split_choices({"bptt": 8}, Settings, defaults(1_000_000, {"bptt": 8}))
    assert chosen.bptt == 8 and plan.ema_decay > 0
    assert set(defaults(1, {})) == set(Settings.DERIVED)


@pytest.mark.parametrize(("old", "new"), list(Settings.RENAMED.items()))
def test_a_name_of_0_1_0_leads_to_todays(old: str, new: str) -> None:
    with pytest.raises(UsageError, match=f"{old!r}.*{new!r}"):
        split_choices({old: 1}, Settings)
