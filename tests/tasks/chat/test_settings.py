"""Settings of chatbots, those of their network, and defaults that follow from the data."""

from dataclasses import asdict

import pytest

from elman.data.text.conversations import SPEAKERS
from elman.errors import UsageError
from elman.tasks.chat.settings import LOGIT_SCALE, MAX_EPOCHS, ROLE_TOKENS, Settings, defaults
from elman.tasks.settings import split_choices


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


@pytest.mark.parametrize(("old", "new"), list(Settings.RENAMED.items()))
def test_a_name_of_0_1_0_leads_to_todays(old: str, new: str) -> None:
    with pytest.raises(UsageError, match=f"{old!r}.*{new!r}"):
        split_choices({old: 1}, Settings)
