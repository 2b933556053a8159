"""The gap task: its sentences, its measurements beside autograd, and what is told of them."""

import json
import math
from pathlib import Path

import pytest
import torch

from elman.lesson import gap
from elman.lesson.networks import CELLS, Reader


def test_the_answer_is_the_first_word() -> None:
    words, answers = gap.sentences(7, 50, torch.Generator().manual_seed(0))
    assert words.shape == (9, 50)
    assert torch.equal(words[0], answers)
    assert (words[-1] == gap.QUESTION).all()
    assert ((words[1:-1] >= gap.KEYS) & (words[1:-1] < gap.QUESTION)).all()
    assert set(answers.tolist()) == {*range(gap.KEYS)}


@pytest.mark.parametrize("cell", ["Elman", "GRU"])
def test_a_trial_measures_what_autograd_does(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Reader] = []

    class Noted(Reader):
        def __init__(self, *args: object, **settings: object) -> None:
            super().__init__(*args, **settings)
            made.append(self)

    monkeypatch.setattr(gap, "Reader", Noted)
    one = gap.trial(cell, 4, seed=3, steps=2)
    model = made[0]
    words, answers = gap.sentences(4, gap.TESTED, torch.Generator().manual_seed(1_000_003))
    state, states = None, []
    for x in model.embedding(words).unbind():
        _, state = model.layer.step(x, state)
        states.append(state if isinstance(state, tuple) else (state,))
    logits = model.answer(states[-1][0][-1])
    wanted = [part for parts in (states[0], states[-1]) for part in parts]
    gradients = torch.autograd.grad(logits.gather(1, answers[:, None]).sum(), wanted, materialize_grads=True)
    half = len(gradients) // 2
    first, last = (torch.cat(part, -1)[0].norm(dim=-1) for part in (gradients[:half], gradients[half:]))
    assert one.after == pytest.approx((first / last).median().item(), rel=1e-3)
    assert one.accuracy == (logits.argmax(1) == answers).double().mean().item()
    assert one.largest == pytest.approx(torch.linalg.svdvals(model.layer.weight_hh_l0)[0].item(), rel=1e-5)


def made_up() -> gap.Gaps:
    rows = [("Elman", 10, 0.5, 3.0), ("Elman", 20, 0.25, 2.0)]
    rows += [("LSTM", 10, 1.0, math.inf), ("LSTM", 20, 1.0, 9.5)]
    trials = [gap.Trial(c, n, seed, a, h, 0.1, 0.0, 1.5) for c, n, a, h in rows for seed in (0, 1)]
    return gap.Gaps(tuple(trials))


def test_a_table_a_picture_and_plain_numbers(tmp_path: Path) -> None:
    gaps = made_up()
    head, *rows = str(gaps).splitlines()
    assert head.split() == ["gap", "10", "20"]
    assert rows[0].split() == ["Elman", "accuracy", "50%", "(50–50)", "25%", "(25–25)"]
    assert rows[3].split() == ["LSTM", "horizon", "all", "9.5", "words"]
    gaps.plot(tmp_path / "gap.svg")
    assert (tmp_path / "gap.svg").read_text().count("<svg") == 1
    plain = json.loads(json.dumps(gaps.to_dict(), allow_nan=False))
    assert plain["trials"][4]["horizon"] is None
    assert plain["chance"] == 0.25


def test_trials_are_heard_and_go_by_seed() -> None:
    heard: list[gap.Trial] = []
    gaps = gap.compare((1, 2), (0, 5), steps=1, cells=("GRU",), hear=heard.append)
    assert [(one.seed, one.gap) for one in heard] == [(0, 1), (0, 2), (5, 1), (5, 2)]
    assert gaps.trials == tuple(heard)
    assert gap.trial("GRU", 2, 5, 1, remember=False) != heard[-1]
    assert gap.trial("GRU", 2, 5, 1) == heard[-1]
    assert 0 <= gap.trial("LSTM", 0, 5, 1).accuracy <= 1  # the answer is read just before it is asked for
    assert set(CELLS) == {"Elman", "GRU", "LSTM"}
