"""The nearest windows are those of a search by hand; what was copied is found again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import elman
from elman import UsageError, lens
from elman.lens import neighbours
from elman.lens.matches import Match


def by_hand(layer: Any, sequences: Sequence[Tensor], own: int, begin: int, end: int) -> list[Any]:
    """All windows that don't overlap the span, the nearest first, whether or not they overlap each other."""
    states = [layer(x.unsqueeze(1))[0].squeeze(1).detach() for x in sequences]
    here, found = states[own][begin:end], []
    for number, one in enumerate(states):
        for k in range(len(one) - (end - begin) + 1):
            window = one[k : k + end - begin]
            if number != own or k >= end or k + end - begin <= begin:
                cosine = torch.nn.functional.cosine_similarity(here, window, dim=1)
                found.append((float((1 - cosine).mean()), number, k))
    return sorted(found)


@pytest.mark.parametrize("both", [False, True])
def test_the_nearest_are_those_of_a_search_by_hand(both: bool) -> None:
    torch.manual_seed(0)
    layer = elman.Recurrent("gru", 3, 4, bidirectional=both, dtype=torch.float64)
    sequences = [torch.randn(n, 3, dtype=torch.float64) for n in (9, 4, 12, 1)]
    data = [one.unsqueeze(1) for one in sequences]
    seen = neighbours(layer, data, (3, 6), sequence=2, count=4)
    expected, taken = by_hand(layer, sequences, 2, 3, 6), list[Any]()
    for distance, number, begin in expected:
        if all(number != other or abs(begin - k) >= 3 for _, other, k in taken):
            taken.append((distance, number, begin))
    assert [(one.sequence, one.begin) for one in seen.matches] == [row[1:] for row in taken[:4]]
    assert [one.distance for one in seen.matches] == pytest.approx([row[0] for row in taken[:4]])
    assert (
        seen.here.begin == 3 and seen.layer == "Recurrent l0" and all(not one.labels for one in seen.matches)
    )
    assert str(seen).splitlines()[0] == "0.000  sequence 2, steps 3 to 5"


def words() -> lens.View:
    torch.manual_seed(0)
    ids = torch.randint(0, 8, (20, 2))
    ids[9:16, 0] = ids[:7, 1]  # the end of it moves alike
    labels = tuple(tuple(f"<{k}>" for k in row) for row in (ids[:, 0].tolist(), ids[:17, 1].tolist()))
    layer = elman.Recurrent("elman", 8, 16)
    return lens.View(layer, torch.eye(8)[ids], labels={"Rec": labels})


def test_what_was_copied_is_found(tmp_path: Path) -> None:
    view = words()
    seen = neighbours(view, None, (4, 7), sequence=1, count=3)
    first = seen.matches[0]
    assert (first.sequence, first.begin) == (0, 13) and first.labels == seen.here.labels
    assert len(seen.matches) == 3 and all(one.end <= 17 for one in seen.matches if one.sequence)
    assert first.before == view.labels["Rec"][0][9:13] and f"[{' '.join(first.labels)}]" in str(first)
    assert seen.to_dict()["matches"][0]["labels"] == list(first.labels)
    assert "<mark>&lt;" in seen.html() == seen._repr_html_() and "<3>" not in seen.html()
    seen.plot(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5_000


def test_a_list_for_a_task_is_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, parts = elman.GRU(1, 4), list[int]()

    class Task:
        def view(self, data: Any) -> lens.View:
            parts.append(len(data))
            return lens.View(layer, torch.tensor(data).T.unsqueeze(2))

    monkeypatch.setattr("elman.lens.matches.BATCH_INPUTS", 2)
    data = torch.randn(5, 6).tolist()
    seen = neighbours(Task(), data, (0, 2), sequence=4)
    assert parts == [2, 2, 1, 2, 2, 1] and seen.here.sequence == 4
    assert {one.sequence for one in seen.matches} <= set(range(5)) and len(seen.matches) == 10


def test_sequences_that_a_batch_cuts_are_whole() -> None:
    layer = elman.GRU(1, 4)

    class Task:
        def view(self, data: list[str]) -> lens.View:
            shortest = min(map(len, data))
            x = torch.tensor([[float(ord(letter)) for letter in text[:shortest]] for text in data])
            return lens.View(layer, x.T.unsqueeze(2) / 100, labels={"": tuple(map(tuple, data))})

    class Cutting(Task):
        def view(self, data: list[str]) -> lens.View:
            shortest = min(map(len, data))
            return super().view([text[:shortest] for text in data])

    seen = neighbours(Cutting(), ["ab", "learning", "deep learning"], (0, 8), sequence=1)
    assert len(seen.here.labels) == 8 and seen.matches[0].sequence == 2


def test_a_named_layer() -> None:
    layer, x = nn.LSTM(3, 4, 2, bidirectional=True), torch.randn(8, 2, 3)
    assert neighbours(layer, x, (0, 2)).layer == "LSTM l1"
    assert neighbours(layer, x, (0, 2), layer="LSTM l0 reverse").layer == "LSTM l0"
    assert neighbours(layer, [x], (0, 8)).matches[0] == Match(
        1, 0, 8, (), (), (), pytest.approx(neighbours(layer, x, (0, 8)).matches[0].distance)
    )


class Idle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = elman.LSTM(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequence": 2}, "there is no sequence 2"),
        ({"sequence": -1}, "sequence must be 0 or more, not -1"),
        ({"span": (3, 3)}, r"from 0 to 4, not \(3, 3\)"),
        ({"span": (1, 9)}, r"from 0 to 4, not \(1, 9\)"),
        ({"layer": "b"}, "layer must be one of LSTM l0, not b"),
        ({"count": 0}, "count must be 1 or more, not 0"),
        ({"model": nn.Linear(3, 3)}, "no recurrent layer"),
        ({"model": Idle()}, "no recurrent layer was called"),
    ],
)
def test_wrong_arguments(options: Any, message: str) -> None:
    arguments = {"model": elman.LSTM(3, 2), "data": torch.randn(4, 2, 3), "span": (0, 2), **options}
    with pytest.raises(UsageError, match=message):
        neighbours(**arguments)
