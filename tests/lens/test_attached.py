"""Foreign models as models of the lens: their weights as they are, and as they will be."""

import pytest
import torch
from torch import nn

from elman import UsageError, lens


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.inner, self.head = nn.Embedding(9, 4), nn.LSTM(4, 6, 2), nn.Linear(6, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.head(self.inner(self.embedding(ids))[0])
        return outputs


IDS = torch.tensor([[1, 2], [3, 4], [5, 6], [7, 8]])


def test_every_view_takes_it() -> None:
    module = Tagger()
    attached = lens.attach(module, lambda outputs: outputs[-1, :, 0], scored="logit of a tag", unit="words")
    assert len(lens.states(attached, IDS).layers) == 2
    assert lens.memory_horizon(attached, IDS).unit == "words"
    found = lens.attribution(attached, IDS)
    with torch.no_grad():
        module.embedding.weight.zero_()
    assert lens.attribution(attached, IDS).scores.abs().max() < 1e-6 < found.scores.abs().max()
    assert isinstance(module.inner, nn.LSTM)


def test_a_report_with_words() -> None:
    attached = lens.attach(
        Tagger(), lambda outputs: outputs[-1, :, 0], unit="words", cut=lambda ids, steps: ids[:steps]
    )
    report = attached.look(IDS[:, :1], ["I", "am", "not", "<sure>"])
    text = report.html()
    assert "A look into Tagger" in text and "&lt;sure&gt;" in text
    assert "While it is read" in text
    labels = report.view.labels_of("inner l0")
    assert labels == (("I", "am", "not", "<sure>"),)
    assert attached.view(IDS, [["a"] * 4, ["b"] * 4]).labels_of("inner l1")[1] == ("b",) * 4


def test_without_a_score_there_is_no_attribution() -> None:
    report = lens.attach(Tagger()).look(IDS)
    assert "What moved the answer?" not in str(report) and "How far back" in str(report)


def test_what_can_not_be_attached() -> None:
    with pytest.raises(UsageError, match="no recurrent layer"):
        lens.attach(nn.Linear(2, 2))
    with pytest.raises(UsageError, match="score must be a function"):
        lens.attach(Tagger(), 3)  # type: ignore[arg-type]
