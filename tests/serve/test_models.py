"""The list of models, and what a client has to know of each."""

from elman.pretrained import pretrained
from elman.serve.limits import Limits
from elman.serve.models import listing
from elman.serve.shelf import Shelf
from saved_models import SAVED, config
from serving import TASKS, Served


def test_the_list_is_that_of_openai_with_more(served: Served) -> None:
    listed = served.http.get("/v1/models").json()
    assert listed["object"] == "list" and [one["id"] for one in listed["data"]] == list(TASKS)
    for one in listed["data"]:
        assert one["object"] == "model" and one["owned_by"] == "elman" and one["created"] > 1_500_000_000
        assert one["task"] == one["id"] and one["scores"] == config(SAVED / one["id"])["scores"]
        assert one["score"] is None
        assert one["title"] == (SAVED / one["id"] / "README.md").read_text().splitlines()[0][2:]


def test_of_a_model_that_comes_with_elman_the_score_is_that_of_elman_models() -> None:
    known = pretrained("elman:sales")
    one = listing(next(iter(Shelf({"year": known.folder}, Limits()))))
    assert one["title"] == "Forecasts monthly sales a year ahead"
    assert one["score"]["value"] == known.score.value and one["score"]["label"] == known.score.label


def test_a_model_says_what_a_client_has_to_know(served: Served) -> None:
    facts = {task: served.http.get(f"/v1/models/{task}").json() for task in TASKS}
    assert all(one["loaded"] and one["stream"] and one["card"].startswith("# ") for one in facts.values())
    assert facts["classify"]["labels"] == ["bad", "good"]
    assert (facts["forecast"]["horizon"], facts["forecast"]["columns"]["time"]) == (6, "month")
    assert facts["transcribe"]["rate"] == 8000 and "one" in facts["transcribe"]["labels"]
    assert facts["chat"]["examples"][0] == "Hi, I am Bert."
    assert facts["translate"]["source"] == "source" and facts["generate"]["vocabulary"] == 15


def test_an_unknown_model(served: Served) -> None:
    answer = served.http.get("/v1/models/clasify")
    assert served.error(answer) == "404 there is no model 'clasify'; did you mean 'classify'?"
    assert answer.json()["error"]["code"] == "model_not_found"
    assert served.error(served.http.get("/v1/models/x")).startswith(
        "404 there is no model 'x': there are chat,"
    )
