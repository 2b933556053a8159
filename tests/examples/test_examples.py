"""Every program in examples/ runs on small data, and what it prints is true."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from elman.demo import series

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """On a busy machine, threads on tiny shapes wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_own_cell_learns_to_add(capsys: pytest.CaptureFixture[str]) -> None:
    assert example("own_cell").main(updates=300, steps=8) < 0.08
    assert "times)" in capsys.readouterr().out


def test_char_rnn_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "plays.txt"
    text.write_text("".join(f"ROMEO:\nI love deep water, {k} times.\n\n" for k in range(80)))
    written = example("char_rnn").main(text, "ROMEO:", 20, hidden=16, epochs=1, progress=False)
    assert len(written) == 20
    out = capsys.readouterr().out
    assert out.endswith(f"ROMEO:{written}\n") and "perplexity" in out


def test_replacing_keeps_the_outputs(capsys: pytest.CaptureFixture[str]) -> None:
    assert example("replace_torch_lstm").main(hidden=16, steps=10, rounds=1) < 1e-5
    assert "torch.nn.modules.rnn → elman.nn" in capsys.readouterr().out


def test_forecast_csv_looks_a_horizon_ahead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "forecast.png"
    frame = example("forecast_csv").main(
        series.sales()[-100:], 6, picture, epochs=1, hidden=4, progress=False
    )
    assert frame.height == 6 and picture.stat().st_size > 1000
    out = capsys.readouterr().out
    assert "seasonal naive" in out and "2016-11-01" in out


def test_every_example_is_short_and_tested() -> None:
    tested = Path(__file__).read_text()
    for file in EXAMPLES.glob("*.py"):
        assert len(file.read_text().splitlines()) < 60
        assert f'example("{file.stem}")' in tested
