"""A researcher invents a cell: is it right, is it fast, does it learn, and does it work where others do?"""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import elman
from command_line import Call

CELL = '''
import torch
import elman


@elman.cell(gates="f n", state="h")
def Leaky(x, u, s):
    """A gate that leaks: what is new moves the state a learned share of the way."""
    f = torch.sigmoid(x.f + u.f)
    return s.h + f * (torch.tanh(x.n + u.n) - s.h)
'''


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    file = tmp_path / "cells.py"
    file.write_text(CELL)
    return file


def test_in_python(leaky: Path) -> None:
    namespace: dict[str, object] = {}
    exec(compile(CELL, str(leaky), "exec"), namespace)
    layer = elman.Recurrent(namespace["Leaky"], 3, 16)  # type: ignore[arg-type]
    x = torch.randn(20, 4, 3)
    assert layer.explain(x).startswith("compiled")
    # right: as the obvious loop in float64 computes it, with its gradient
    slow = elman.Recurrent(namespace["Leaky"], 3, 16, engine="eager").double()  # type: ignore[arg-type]
    slow.load_state_dict(layer.state_dict())
    fast_loss, slow_loss = layer(x)[0].square().sum(), slow(x.double())[0].square().sum()
    torch.testing.assert_close(fast_loss.double(), slow_loss, rtol=1e-5, atol=0)
    fast_loss.backward(), slow_loss.backward()
    torch.testing.assert_close(layer.weight_hh_l0.grad.double(), slow.weight_hh_l0.grad, rtol=1e-4, atol=1e-4)
    # what its gates do, at every step
    gates = layer(x, return_gates=True)[-1]
    assert gates["f"].shape == (20, 1, 4, 16) and bool(((gates["f"] > 0) & (gates["f"] < 1)).all())
    # in place of torch.nn's cells and layers, too
    model = torch.nn.Sequential(torch.nn.LSTMCell(3, 8))
    expected = model(x[0])
    elman.replace(model)
    assert isinstance(model[0], elman.LSTMCell)
    torch.testing.assert_close(model(x[0]), expected)


def test_on_the_command_line(leaky: Path, call: Call, tmp_path: Path) -> None:
    code, out, err = call("show", "cells.py:Leaky")
    assert code == 0 and "Leaky(x.f, u.f, s.h, x.n, u.n) -> h" in out, err
    rows = [
        (f"the {thing} was {word}", word)
        for thing in ["film", "plot", "cast", "end", "music"]
        for word in ("good", "bad")
        for _ in range(8)
    ]
    with (tmp_path / "reviews.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    train = ["train", "classify", "reviews.csv", "--cell", "cells.py:Leaky", "--epochs", "2", "--hidden", "8"]
    code, out, err = call(*train, "--save", "model", "--stream")
    assert code == 0, err
    leaky.unlink()  # the model knows its equations
    script = (
        "import elman; model = elman.load('model'); print(model); print(model.predict('the end was good'))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Leaky of 8 units" in done.stdout and done.stdout.splitlines()[-1] in ("good", "bad")
    code, _, err = call(*train, "--save", "second")
    assert code == 2 and "cells.py does not exist" in err
    assert not (tmp_path / "second").exists()
