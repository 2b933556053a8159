"""Products of rows: PyTorch's values, and the same bits for a row whatever its batch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from elman.engine.cpu import host, launch
from elman.engine.cpu.affine import BLOCK_ROWS, AffineRows, affine_stack


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 2, BLOCK_ROWS, BLOCK_ROWS + 3])
def test_a_product(rows: int, bias: bool, int8: bool) -> None:
    torch.manual_seed(0)
    weight, b, x = torch.randn(21, 300), torch.randn(21) if bias else None, torch.randn(rows, 300)
    product = AffineRows(affine_stack(weight, b, int8))
    together = product(x.numpy())
    expected = F.linear(x, weight, b).numpy()
    np.testing.assert_allclose(together, expected, atol=1.2 if int8 else 1e-4)
    for k in range(0, rows, 50):
        assert np.array_equal(product(x[k : k + 1].numpy()), together[k : k + 1])


def test_threads_share_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(40, 30), torch.randn(100, 30).numpy()
    one = AffineRows(affine_stack(weight, None))(x)
    monkeypatch.setattr(launch, "MIN_TEAM_WORK", 0)
    monkeypatch.setattr(host, "threads", lambda: 2)
    assert np.array_equal(AffineRows(affine_stack(weight, None))(x), one)
