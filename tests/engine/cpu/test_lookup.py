"""Steps on rows of a table are the layer's steps on those inputs."""

import pytest
import torch

import elman
from compare import assert_same, tensors
from elman.cells import CELLS
from elman.engine.cpu import host, launch
from elman.nn import call_cache

V, I, H = 5, 6, 32  # noqa: E741


def made(kind: str, dtype: torch.dtype = torch.float32, **options: object) -> elman.Recurrent:
    torch.manual_seed(1)
    layer = elman.Recurrent(CELLS[kind], I, H, **options)  # type: ignore[arg-type]
    return layer.to(dtype).eval()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"int8": True}], ids=["plain", "bias", "int8"])
@pytest.mark.parametrize("kind", sorted(CELLS))
def test_steps_are_those_on_the_rows(kind: str, options: dict[str, bool], dtype: torch.dtype) -> None:
    layer, vectors = made(kind, dtype, **options), torch.randn(V, I, dtype=dtype)
    with torch.no_grad():
        table = call_cache.lookup(layer.stack(), vectors)
        assert table is not None
        hx = mine = None
        for row in (3, 0, 0, 4):
            wanted, hx = layer.step(vectors[row : row + 1], hx)
            found = table.look(row, mine)
            assert found is not None
            torch.testing.assert_close(found[0], wanted, rtol=2e-6, atol=2e-6)
            mine = found[1]
            assert isinstance(mine, torch.Tensor) == isinstance(hx, torch.Tensor)
            for a, b in zip(tensors(mine), tensors(hx), strict=True):
                torch.testing.assert_close(a, b, rtol=2e-6, atol=2e-6)


def test_several_threads_share_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "MIN_TEAM_WORK", 0)
    monkeypatch.setattr(launch, "MIN_SPLIT_WORK", 0)
    monkeypatch.setattr(host, "threads", lambda: 2)
    layer, vectors = made("lstm"), torch.randn(V, I)
    with torch.no_grad():
        table = call_cache.lookup(layer.stack(), vectors)
        assert table is not None
        wanted, hx = layer.step(vectors[2:3])
        found = table.look(2, None)
        assert found is not None
        torch.testing.assert_close(found[0], wanted, rtol=2e-6, atol=2e-6)
        monkeypatch.setattr(host, "threads", lambda: 1)  # as in a child process
        assert table.look(2, hx) is None


@pytest.mark.parametrize("row", [-1, V, 2**40])
def test_there_is_no_such_row(row: int) -> None:
    with torch.no_grad():
        table = call_cache.lookup(made("lstm").stack(), torch.randn(V, I))
        assert table is not None and table.look(row, None) is None


def test_states_given_stay_what_they_are() -> None:
    layer, vectors = made("lstm"), torch.randn(V, I)
    with torch.no_grad():
        table = call_cache.lookup(layer.stack(), vectors)
        assert table is not None
        _, first = table.look(1, None) or pytest.fail("no kernel")
        kept = tuple(s.clone() for s in first)
        one, two = table.look(2, first), table.look(2, first)
    assert_same(first, kept)
    assert_same(one, two)


@pytest.mark.parametrize(
    "options",
    [{"layer_norm": True}, {"bidirectional": True}, {"num_layers": 2}, {"zoneout": 0.1}, {"engine": "eager"}],
)
def test_what_needs_more_than_a_kernel_has_no_table(options: dict[str, object]) -> None:
    with torch.no_grad():
        assert call_cache.lookup(made("lstm", **options).stack(), torch.randn(V, I)) is None


def test_a_table_is_not_made_of_a_large_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_cache, "MAX_TABLE_NUMBERS", V * 4 * H - 1)
    with torch.no_grad():
        assert call_cache.lookup(made("lstm").stack(), torch.randn(V, I)) is None


def test_units_that_fill_no_panel_and_states_of_another_shape() -> None:
    odd = elman.Recurrent(CELLS["lstm"], I, 37).eval()
    with torch.no_grad():
        assert call_cache.lookup(odd.stack(), torch.randn(V, I)) is None
        table = call_cache.lookup(made("gru").stack(), torch.randn(V, I))
        assert table is not None and table.look(0, torch.zeros(1, 2, H)) is None
