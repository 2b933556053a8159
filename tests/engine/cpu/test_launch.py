"""How rows are shared among threads."""

import itertools

import pytest
import torch

from elman.engine.cpu import host, launch

MUCH = launch.MIN_TEAM_WORK


@pytest.fixture
def four_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "threads", lambda: 4)


@pytest.mark.usefixtures("four_threads")
def test_every_row_has_one_place() -> None:
    for batch in (1, 3, 8, 9, 30):
        lengths = torch.randint(0, 6, (batch,))
        for schedule in (launch.share_rows(5, batch, None, MUCH), launch.share_rows(5, batch, lengths, MUCH)):
            assert sorted(schedule.rows.tolist()) == list(range(batch))
            begins = schedule.begins.tolist()
            assert begins[0] == 0 and begins[-1] == batch and len(begins) == schedule.slices + 1
            sizes = [end - begin for begin, end in itertools.pairwise(begins)]
            assert max(sizes) == schedule.largest and max(sizes) - min(sizes) <= 1


@pytest.mark.usefixtures("four_threads")
def test_rows_of_a_slice_stand_by_falling_length() -> None:
    lengths = torch.tensor([3, 1, 5, 0, 5, 2, 4, 1])
    schedule = launch.share_rows(5, 8, lengths, MUCH)
    assert schedule.slices == 4 and torch.equal(torch.tensor(schedule.lengths), lengths)
    for begin, end in itertools.pairwise(schedule.begins):
        ordered = lengths[schedule.rows[begin:end]].tolist()
        assert ordered == sorted(ordered, reverse=True)


@pytest.mark.usefixtures("four_threads")
def test_little_work_has_one_thread_and_few_rows_share_units() -> None:
    little = launch.share_rows(1, 8, None, 1)
    assert (little.threads, little.slices, little.split) == (1, 1, False)
    many = launch.share_rows(5, 8, None, MUCH)
    assert (many.threads, many.slices, many.split) == (4, 4, False)
    few = launch.share_rows(5, 2, None, MUCH)
    assert (few.threads, few.slices, few.split) == (4, 1, True)
    whole = launch.share_rows(5, 2, None, MUCH, whole=True)
    assert (whole.threads, whole.slices, whole.split) == (1, 1, False)
