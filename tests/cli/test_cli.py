"""The command line, called as a person calls it, within this process."""

import json
import math
import random
import subprocess
import sys
from pathlib import Path

import pytest

import elman
from command_line import Call
from elman import cli
from elman.engine.cpu import host


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, and models that `elman train` made from them."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "reviews.csv").write_text(_reviews(), encoding="utf-8")
    (folder / "sales.csv").write_text(_sales(), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for arguments in (
            "train classify reviews.csv --text review --label stars --epochs 2 --hidden 8 --json",
            "train forecast sales.csv --horizon 6 --epochs 2 --hidden 8 --json",
        ):
            patch.setattr(sys, "argv", ["elman", *arguments.split()])
            with pytest.raises(SystemExit) as end:
                cli.main()
            assert not end.value.code
    return folder


def _reviews() -> str:
    draw = random.Random(0)
    rows = [
        f"the {thing} was {'not ' * no}{word},{'bad' if (word == 'good') == no else 'good'}"
        for thing in ("film", "plot", "cast", "end", "music")
        for word in ("good", "awful")
        for no in (False, True)
        for _ in range(6)
    ]
    draw.shuffle(rows)
    return "\n".join(["review,stars", *rows])


def _sales() -> str:
    rows = [
        f"{2012 + i // 12}-{i % 12 + 1:02}-01,{50 + i + 9 * math.sin(i * math.pi / 6):.2f}" for i in range(84)
    ]
    return "\n".join(["month,sales", *rows])


def test_version_and_help(call: Call) -> None:
    assert call("--version") == (0, f"elman {elman.__version__}\n", "")
    verbs = (["train", "classify"], ["train", "forecast"], ["evaluate"], ["predict"], ["show"], ["demo"])
    for verb in verbs:
        code, out, _ = call(*verb, "--help")
        assert code == 0
        assert f"Example: elman {' '.join(verb)}" in " ".join(out.split())


def test_help_does_not_wait_for_torch() -> None:
    program = "import sys, elman.cli; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", elman.cells.CELLS)
def test_show_prints_every_cell(call: Call, name: str) -> None:
    code, out, _ = call("show", name)
    assert code == 0
    assert "-> h" in out
    assert r"\begin{align*}" in out
    parts = json.loads(call("show", name, "--json")[1])
    assert parts["program"] in out
    assert parts["latex"] == call("show", name, "--latex")[1].strip()


def test_show_prints_gradients_and_kernels(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "da.i = " in call("show", "lstm", "--backward")[1]
    forward, backward = call("show", "lstm", "--kernel")[1], call("show", "lstm", "--kernel", "--backward")[1]
    assert "void @run(ptr %a)" in forward and "void @run(ptr %a)" in backward
    assert forward != backward
    monkeypatch.setenv("ELMAN_CPU", "off")
    for known in (host.host, host.vector):
        known.cache_clear()
    code, _, err = call("show", "lstm", "--kernel")
    for known in (host.host, host.vector):
        known.cache_clear()
    assert code == 2 and "no kernel can be compiled here: ELMAN_CPU=off" in err


def test_show_lists_cells_with_their_papers(call: Call) -> None:
    code, out, _ = call("show")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(elman.cells.CELLS)
    assert "1990" in out


def test_show_reads_a_cell_from_a_file(call: Call, tmp_path: Path) -> None:
    source = "import torch\nfrom elman import cell\n\n@cell(gates='a', state='h')\n"
    source += "def Mine(x, u, s):\n    return "
    (tmp_path / "mine.py").write_text(source + "torch.tanh(x.a + u.a) + s.h\n")
    assert "h = tanh(x.a + u.a) + s.h" in call("show", "mine.py:Mine")[1]
    code, _, err = call("show", "mine.py:Yours")
    assert (code, "declares no cell 'Yours'" in err) == (2, True)
    (tmp_path / "mine.py").write_text(source + "torch.softmax(x.a, 0)\n")
    code, _, err = call("show", "mine.py:Mine")
    assert code == 2
    assert "mine.py, line 6: softmax is not a primitive" in err
    (tmp_path / "mine.py").write_text("1 / 0")
    assert call("show", "mine.py:Mine")[0] == 2


def test_training_printed_json_and_left_a_model(trained: Path) -> None:
    assert sorted(p.name for p in (trained / "runs").iterdir()) == ["reviews", "sales"]
    names = {p.name for p in (trained / "runs" / "reviews").iterdir()}
    assert {"config.json", "model.safetensors", "README.md", "metrics.jsonl"} <= names
    assert "checkpoint.pt" not in names


def test_predict_a_text_a_file_and_a_pipe_alike(call: Call, trained: Path) -> None:
    texts = ["the film was not good", "the plot was awful"]
    model = str(trained / "runs" / "reviews")
    one_by_one = "".join(call("predict", model, text)[1] for text in texts)
    code, piped, _ = call("predict", model, "-", stdin="\n".join(texts) + "\n")
    assert code == 0
    assert piped == one_by_one
    Path("two.txt").write_text("\n".join(texts), encoding="utf-8")
    assert call("predict", model, "two.txt")[1] == piped
    call("predict", model, "two.txt", "--output", "said.tsv")
    assert Path("said.tsv").read_text(encoding="utf-8") == piped
    objects = [json.loads(line) for line in call("predict", model, "two.txt", "--json")[1].splitlines()]
    assert [max(o["probabilities"], key=o["probabilities"].get) for o in objects] == [
        line.split("\t")[0] for line in piped.splitlines()
    ]


def test_forecast_goes_on_after_the_data(call: Call, trained: Path) -> None:
    code, out, _ = call("predict", str(trained / "runs" / "sales"), "--plot", "sales.svg")
    assert code == 0
    header, *rows = out.splitlines()
    assert header == "unique_id,ds,q0.1,q0.5,q0.9"
    assert [row.split(",")[1] for row in rows] == [f"2019-{month:02}-01" for month in range(1, 7)]
    assert "<svg" in Path("sales.svg").read_text(encoding="utf-8")


def test_evaluate_shows_the_baseline(call: Call, trained: Path) -> None:
    code, out, _ = call("evaluate", str(trained / "runs" / "reviews"), str(trained / "reviews.csv"))
    assert code == 0
    assert "bag of words" in out
    assert "were trained on" in out
    sales = (str(trained / "runs" / "sales"), str(trained / "sales.csv"), "--backtest", "2")
    code, out, _ = call("evaluate", *sales)
    assert code == 0
    assert "seasonal naive" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("train classify nope.csv", "nope.csv does not exist"),
        ("train classify {reviews}", "no column 'text'"),
        ("train classify {reviews} --text review --label star", "no column 'star'"),
        ("train classify {reviews} --text review --label stars --hidden -1", "hidden"),
        ("train classify {reviews} --text review --label stars --cell lstn", "lstn"),
        ("train classify {reviews} --text review --label stars --set hiden=8", "did you mean hidden?"),
        ("train classify {reviews} --text review --label stars --set dropout", "NAME=VALUE"),
        ("train classify {reviews} --text review --label stars --set epochs=0", "epochs"),
        ("train classify {reviews} --text review --label stars --resume", "resume"),
        ("train classify {reviews} --text review --label stars --save {reviews}", "is a file"),
        ("train classify {reviews} --text review --label stars --save {model}", "already holds a model"),
        ("train forecast {sales}", "horizon"),
        ("train forecast {sales} --horizon 0", "horizon"),
        ("train forecast {sales} --horizon 6 --value sold", "sold"),
        ("train forecast {reviews} --horizon 6", "reviews.csv"),
        ("evaluate {model} nope.csv", "nope.csv does not exist"),
        ("evaluate nope {reviews}", "there is no model at"),
        ("evaluate {model} {reviews} --backtest 2", "--backtest is for forecasts"),
        ("predict {model}", "needs something to read"),
        ("predict {model} nope.csv", "nope.csv does not exist"),
        ("predict {model} {reviews} --plot x.png", "plot"),
        ("predict {forecast} --plot x.bmp", ".png"),
        ("show lstn", "there is no cell 'lstn'"),
        ("trian", "No such command"),
        ("predict", "Missing argument"),
        ("show lstm --latx", "No such option"),
    ],
)
def test_wrong_calls_get_one_sentence(call: Call, trained: Path, arguments: str, sentence: str) -> None:
    places = {
        "reviews": trained / "reviews.csv",
        "sales": trained / "sales.csv",
        "model": trained / "runs" / "reviews",
        "forecast": trained / "runs" / "sales",
    }
    before = sorted(Path().iterdir())
    code, out, err = call(*(part.format(**places) for part in arguments.split()))
    assert sentence in " ".join(err.replace("│", " ").split())
    assert code in (1, 2)
    assert code == 2 or "resume" in sentence
    assert out == ""
    assert sorted(Path().iterdir()) == before


def test_a_damaged_model_is_said_to_be_damaged(call: Call, trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in (trained / "runs" / "reviews").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    code, _, err = call("predict", "copy", "a text")
    assert code == 1
    assert "model.safetensors is damaged" in err


def test_a_reader_that_goes_away_is_no_error(trained: Path) -> None:
    command = f"'{sys.executable}' -m elman show | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert done.stdout.startswith("elman ")
    assert "Traceback" not in done.stderr
