"""Settings of chatbots, those of their network, and defaults that follow from the data."""

from dataclasses import asdict, fields
from typing import Any

import pytest

from elman.data.text.conversations import SPEAKERS
from elman.errors import UsageError
from elman.tasks.chat.settings import LOGIT_SCALE, MAX_EPOCHS, ROLE_TOKENS, Settings, defaults, ranker_plan
from elman.tasks.settings import split_choices
from elman.training.plan import Plan


def test_the_network_has_the_chatbots_sizes() -> None:
    settings = Settings(cell="gru", hidden=9, layers=2, embedding=7, bptt=5, dropout=0.4, weight_dropout=0.25)
    language = settings.language
    same = ("cell", "hidden", "layers", "embedding", "bptt", "dropout", "weight_dropout")
    assert {name: asdict(language)[name] for name in same} == {name: asdict(settings)[name] for name in same}
    assert (language.logit_scale, language.embedding_dropout) == (LOGIT_SCALE, 0)
    assert (language.activation_penalty, language.temporal_penalty) == (0, 0)
    assert len(SPEAKERS) == ROLE_TOKENS  # written twice, for settings do without the readers of tables


def test_few_conversations_are_read_more_often() -> None:
    few, many = defaults(1_000, {}), defaults(100_000_000, {})
    assert few["epochs"] == MAX_EPOCHS and many["epochs"] == 1
    assert few["dropout"] > many["dropout"]
    chosen, plan = split_choices({"batch_size": 4}, Settings, defaults(1_000_000, {"batch_size": 4}))
    assert plan.batch_size == 4 and plan.ema_decay > 0 and chosen.max_tokens == 60
    assert set(defaults(1, {})) == set(Settings.DERIVED)


def test_a_network_for_few_conversations_is_small() -> None:
    few, some, many = (Settings(**of_task(defaults(tokens, {}))) for tokens in (1_000, 100_000, 10_000_000))
    sizes = [(s.hidden, s.embedding, s.vocabulary, s.ranker_units) for s in (few, some, many)]
    assert sizes == sorted(sizes) and sizes[-1] == (512, 256, 6000, 128)
    assert few.ranker_epochs >= some.ranker_epochs > many.ranker_epochs == 1
    assert defaults(1_000, {"hidden": 80})["embedding"] == 40


def of_task(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in {one.name for one in fields(Settings)}}


@pytest.mark.parametrize(("replies", "batch"), [(10, 32), (5_000, 100), (1_000_000, 256)])
def test_the_rankers_batches_grow_with_the_data(replies: int, batch: int) -> None:
    plan = ranker_plan(Settings(ranker_epochs=4), Plan(seed=7, epochs=30, clip=0.5), replies)
    assert (plan.epochs, plan.batch_size, plan.seed, plan.clip) == (4, batch, 7, 0.5)


@pytest.mark.parametrize(("old", "new"), list(Settings.RENAMED.items()))
def test_a_name_of_0_1_0_leads_to_todays(old: str, new: str) -> None:
    with pytest.raises(UsageError, match=f"{old!r}.*{new!r}"):
        split_choices({old: 1}, Settings)
