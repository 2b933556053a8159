"""`elman train chat`, `elman chat`, `elman train translate` and what they say to wrong calls."""

import json
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest

from command_line import Call

SMALL = "--epochs 1 --hidden 8 --set embedding=8 --set vocabulary=300"


class Done(NamedTuple):
    out: str
    err: str


def run(call: Call, line: str, code: int = 0, stdin: bytes | None = None) -> Done:
    found, out, err = call(*shlex.split(line), stdin=stdin)
    assert found == code, err
    return Done(out, err)


@pytest.fixture
def bot(call: Call, tmp_path: Path) -> Path:
    lines = [f"hello {k}\tgood day {k}" for k in range(20)]
    (tmp_path / "pairs.tsv").write_text("\n".join(lines) + "\n")
    run(call, f"train chat pairs.tsv --save bot {SMALL} --set longest=6")
    return tmp_path


def test_a_conversation_through_a_pipe(bot: Path, call: Call) -> None:
    lines = b"hello\n\n/why\n/nothing\n/save\n/save kept.jsonl\n/reset\n/why\n\xff\xfe\n/quit\nnot read\n"
    done = run(call, "chat bot --session s.jsonl --json", stdin=lines)
    said = [json.loads(line) for line in done.out.splitlines()]
    assert [list(line) for line in said] == [["reply"], ["why"], ["reply"]]
    assert abs(sum(weight for _, weight in said[1]["why"])) <= 1 + 1e-6
    assert "there is no /nothing" in done.err and "/save needs a file" in done.err
    assert "there is no reply to explain yet" in done.err
    kept = json.loads((bot / "kept.jsonl").read_text())["messages"]
    assert [message["role"] for message in kept] == ["user", "assistant"]
    assert len(json.loads((bot / "s.jsonl").read_text())["messages"]) == 2
    run(call, "chat bot --session s.jsonl", stdin=b"hello\n")
    assert len(json.loads((bot / "s.jsonl").read_text())["messages"]) == 4


def test_predict_and_evaluate(bot: Path, call: Call) -> None:
    assert run(call, "predict bot hello").out.count("\n") == 1
    assert json.loads(run(call, "predict bot hello --json --count 2").out)["replies"]
    scores = json.loads(run(call, "evaluate bot pairs.tsv --json").out)
    assert scores["replies"] == 20 and scores["baseline"]["hits"] >= 0


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("chat nowhere", 2, "there is no model at nowhere"),
        ("chat bot --fallback 0", 2, "fallback"),
        ("chat bot --session pairs.tsv", 1, "pairs.tsv holds no conversation"),
        ("predict bot hello --plot a.png", 2, "draws no plot"),
        ("predict bot", 2, "needs something to reply to"),
        ("evaluate bot pairs.tsv --adapt", 2, "--adapt is of no use"),
        ("evaluate bot pairs.tsv pairs.tsv", 2, "on one file"),
        ("generate bot hello --temperature 1", 2, "--temperature is of no use"),
        ("train chat bad.jsonl --save x", 2, "line 2"),
        ("train chat empty.jsonl --save x", 2, "empty"),
        ("train chat pairs.tsv --save x --set hiden=3", 2, "did you mean hidden"),
        ("train translate a.de", 2, "a.en|a.de"),
        ("train translate a.de b.en --save x", 2, "2 lines"),
        ("train translate pairs.tsv --source nope --target answer --save x", 2, "nope"),
    ],
)
def test_wrong_calls(bot: Path, call: Call, line: str, code: int, said: str) -> None:
    (bot / "bad.jsonl").write_text('{"turns": ["a", "b"]}\n{"messages": 3}\n')
    (bot / "empty.jsonl").write_text("")
    (bot / "a.de").write_text("eins\nzwei\n")
    (bot / "b.en").write_text("one\n")
    done = run(call, line, code)
    assert any(part in done.err for part in said.split("|")), done.err
    assert "Traceback" not in done.err and not (bot / "x").exists()


def test_translate(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a.x").write_text("".join(f"un {k} kato.\n" for k in range(40)))
    (tmp_path / "a.y").write_text("".join(f"a {k} cat.\n" for k in range(40)))
    run(call, f"train translate a.x a.y --valid a.x,a.y --test a.x,a.y --save m {SMALL}")
    assert "BLEU" in run(call, "evaluate m a.x a.y").out
    assert run(call, "predict m a.x").out.count("\n") == 40
    found = json.loads(run(call, "predict m --json kato --plot p.png").out)
    assert len(found["attention"]["weights"]) == len(found["attention"]["target"])
    assert (tmp_path / "p.png").exists()
    assert len(json.loads(run(call, "predict m kato --json --count 3").out)) == 3
    run(call, "generate m kato")
