"""The eager loop against finite differences; it judges the other engines."""

from typing import Any

import pytest
import torch

import elman
from elman.cells import CELLS
from gradcheck import check

pytestmark = [
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
    pytest.mark.filterwarnings("ignore::elman.engine.scan.SlowPathWarning"),
]


# A wrong derivative of one part shows beside the others: they add up, and nothing takes it back.
OPTIONS: dict[str, dict[str, Any]] = {
    "bare": {"bias": False},
    "all": {"bidirectional": True, "layer_norm": True, "zoneout": 0.3},
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("kind", CELLS)
def test_gradients_of_every_cell(kind: str, option: str) -> None:
    torch.manual_seed(3)
    layer = elman.Recurrent(CELLS[kind], 2, 3, **OPTIONS[option], dtype=torch.float64, engine="eager").eval()
    reset = torch.tensor([[False, True], [True, False], [False, False]])
    check(layer, lengths=[3, 1], reset=reset, return_states=True)


@pytest.mark.parametrize("kind", ["elman", "lstm", "peephole-lstm", "cifg", "slstm"])
def test_gradients_with_projection(kind: str) -> None:
    torch.manual_seed(4)
    options = {"num_layers": 2, "proj_size": 2, "dtype": torch.float64, "engine": "eager"}
    check(elman.Recurrent(CELLS[kind], 2, 3, **options), lengths=[2, 0])
