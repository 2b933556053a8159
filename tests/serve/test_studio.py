"""The page's own questions: looks, charts and trainings, and what is refused."""

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from elman.serve import studio
from elman.training.announced import announced
from serving import Served

TRAIN = """
import sys, time
from pathlib import Path
from elman.serve import studio
from elman.training.announced import announced
with announced("classify", Path(sys.argv[1])):
    print("announced", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path / "cache"))


def test_a_look_at_each_task(served: Served) -> None:
    for model, given in {
        "classify": "not good",
        "generate": ["I love"],
        "chat": "Hi",
        "forecast": None,
    }.items():
        answer = served.http.post(f"/v1/look/{model}", json={"input": given, "views": ["states", "unroll"]})
        assert answer.status_code == 200, answer.text
        assert answer.json()["model"] == model and answer.json()["states"][0]["units"]


def test_a_look_leaves_the_model_as_it_was(served: Served) -> None:
    before = served.predict("classify", ["the film was not good"]).json()
    served.http.post("/v1/look/classify", json={"input": "not good", "views": ["flow", "attribution"]})
    model = served.app.state.shelf["classify"].current.model
    assert all(parameter.grad is None for parameter in model.network.parameters())
    assert served.predict("classify", ["the film was not good"]).json() == before


@pytest.mark.parametrize(
    ("model", "body", "sentence"),
    [
        ("classify", {"input": "a", "views": []}, "views must be a list of names of views"),
        ("classify", {"input": "a", "views": "states"}, "views must be a list of names of views"),
        ("classify", {"input": "a", "views": ["states"] * 9}, "views must be at most 8"),
        ("classify", {"input": "a", "views": ["magic"]}, "there is no view 'magic'"),
        ("classify", {"input": 3, "views": ["states"]}, "input must be a text or a list of texts"),
        ("classify", {"input": [], "views": ["states"]}, "input must be a text or a list of texts"),
        ("classify", {"input": ["a"] * 33, "views": ["states"]}, "input must be at most 32 texts"),
        ("forecast", {"input": "sales.csv", "views": ["states"]}, "input must be a list of rows"),
        ("transcribe", {"input": "a.wav", "views": ["states"]}, "a look takes texts and tables"),
    ],
)
def test_a_wrong_look_is_refused(served: Served, model: str, body: Any, sentence: str) -> None:
    error = served.error(served.http.post(f"/v1/look/{model}", json=body))
    assert error.startswith(f"422 {sentence}")


def test_no_text_is_taken_for_a_file(served: Served, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("text\nhidden words\n")
    for model in ("classify", "generate", "translate"):
        answer = served.http.post(f"/v1/look/{model}", json={"input": str(secret), "views": ["states"]})
        assert answer.status_code == 200 and "hidden" not in answer.text


def test_a_chart_of_the_training_data_and_of_a_csv(served: Served) -> None:
    drawn = served.http.post("/v1/chart/forecast", json={}).json()
    assert len(drawn["ahead"]["ds"]) == 6 and drawn["ahead"]["naive"].keys() == {"last season", "last value"}
    rows = "".join(f"{2010 + k // 12}-{k % 12 + 1:02d}-01,{k % 12}\n" for k in range(40))
    own = served.http.post("/v1/chart/forecast", json={"csv": f"month,sales\n{rows}", "series": None}).json()
    assert own["past"]["value"][-1] == 3.0 and own["ahead"]["ds"][0] == "2013-05-01"


@pytest.mark.parametrize(
    ("model", "body", "sentence"),
    [
        ("classify", {}, "a chart is of forecasts: 'classify' is a 'classify' model"),
        ("forecast", {"csv": 3}, "csv must be a text or null, not int"),
        ("forecast", {"series": ["a"]}, "series must be a text or null, not list"),
        ("forecast", {"future": "a.csv"}, "future must be a list of rows"),
        ("forecast", {"series": "b"}, "there is no series 'b'"),
        ("forecast", {"csv": "nothing\nhere\n"}, "the table"),
    ],
)
def test_a_wrong_chart_is_refused(served: Served, model: str, body: Any, sentence: str) -> None:
    assert served.error(served.http.post(f"/v1/chart/{model}", json=body)).startswith(f"422 {sentence}")


def test_a_table_that_is_too_large_to_draw(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio, "MAX_CHART_BYTES", 100_000)
    body = {"csv": "month,sales\n" + "2024-01-01,3\n" * 10_000}
    answer = served.http.post("/v1/chart/forecast", json=body)
    assert served.error(answer).startswith("413 the body has more than 100000 bytes")


def test_a_training_is_followed_to_its_end(served: Served, tmp_path: Path) -> None:
    folder = tmp_path / "reviews"
    folder.mkdir()
    messages: list[Any] = []
    with announced("classify", folder):
        (folder / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
        (run,) = (one for one in served.http.get("/v1/runs").json() if one["alive"])
        assert run["name"] == "reviews" and run["step"] == 1
        with served.http.stream("GET", f"/v1/runs/{run['id']}/events") as stream:
            lines = stream.iter_lines()
            messages.append(json.loads(next(lines).removeprefix("data: ")))
            assert messages[0] == {"anew": True, "lines": [{"step": 1, "loss": 2.0}]}
    with served.http.stream("GET", f"/v1/runs/{run['id']}/events") as stream:
        texts = [line.removeprefix("data: ") for line in stream.iter_lines() if line]
    assert json.loads(texts[-1])["alive"] is False  # it is still known after its end
    assert (
        served.error(served.http.post(f"/v1/runs/{run['id']}/stop"))
        == "422 the training 'reviews' has ended already"
    )


def test_a_training_is_stopped(served: Served, tmp_path: Path) -> None:
    command = [sys.executable, "-c", TRAIN, str(tmp_path / "reviews")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "announced\n"
        (run,) = (one for one in served.http.get("/v1/runs").json() if one["alive"])
        assert served.http.post(f"/v1/runs/{run['id']}/stop").json() == {"id": run["id"], "stopping": True}
        assert process.wait(10) != 0


def test_a_training_that_there_is_not(served: Served) -> None:
    for call in (served.http.get("/v1/runs/x/events"), served.http.post("/v1/runs/x/stop")):
        assert served.error(call) == "404 there is no such training on this machine"


def test_a_look_that_takes_long_holds_up_no_answer(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, end = threading.Event(), threading.Event()

    def slow(*_: Any) -> dict[str, Any]:
        begun.set()
        assert end.wait(20)
        return {"seen": True}

    monkeypatch.setattr(studio, "_look", slow)
    body = {"input": "good", "views": ["states"]}
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(served.http.post, "/v1/look/classify", json=body)
        assert begun.wait(10)
        assert served.predict("classify", ["good"]).status_code == 200
        second = threads.submit(served.http.post, "/v1/look/classify", json=body)
        end.set()
        assert first.result().json() == second.result().json() == {"model": "classify", "seen": True}


def test_a_look_that_nobody_waits_for_is_not_begun(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, begun, end = list[str](), threading.Event(), threading.Event()

    def slow(_: Any, given: Any, views: list[str]) -> dict[str, Any]:
        calls.append(given[0])
        begun.set()
        assert end.wait(20)
        return {}

    monkeypatch.setattr(studio, "_look", slow)
    with ThreadPoolExecutor(1) as threads:
        body = {"input": "first", "views": ["states"]}
        first = threads.submit(served.http.post, "/v1/look/classify", json=body)
        assert begun.wait(10)
        with httpx.Client(base_url=served.url, timeout=1) as hasty, pytest.raises(httpx.ReadTimeout):
            hasty.post("/v1/look/classify", json=body | {"input": "second"})
        time.sleep(3 * studio.CLIENT_SECONDS)
        end.set()
        assert first.result().status_code == 200 and calls == ["first"]


def test_too_many_looks_are_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio, "_waiting", {*range(64)})
    body = {"input": "good", "views": ["states"]}
    answer = served.http.post("/v1/look/classify", json=body)
    assert (
        served.error(answer) == "429 64 looks wait already: try again later" and answer.headers["retry-after"]
    )
