"""An NLP engineer classifies texts: labels of a type of their own, what goes wrong, when to ask a person."""

import random
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

import elman
from command_line import Call
from elman.sklearn import ElmanClassifier

SMALL = {"epochs": 2, "hidden": 8, "embedding": 8, "networks": 1, "seed": 0}


def tickets(count: int = 120) -> pd.DataFrame:
    draw = random.Random(0)
    words = {
        1: ["crash", "error", "broken"],
        2: ["invoice", "refund", "price"],
        3: ["thanks", "great", "love"],
    }
    rows = []
    for k in range(count):
        label = 1 + k % 3
        about = draw.choice(words[label if draw.random() > 0.05 else 1 + draw.randrange(3)])
        thing, when = draw.choice(["app", "site", "team"]), draw.choice(["today", "again", "now"])
        rows.append((f"the {thing} {about} {when} {k % 7}", label))
    return pd.DataFrame(rows, columns=["message", "queue"])


@pytest.fixture(scope="module")
def model() -> elman.Classifier:
    return elman.Classifier.fit(tickets(), text="message", label="queue", progress=False, **SMALL)


def test_labels_keep_their_type(model: elman.Classifier) -> None:
    frame = tickets(9)
    predicted = model.predict(frame)
    assert isinstance(model.predict("the app crash today"), int)
    assert (np.asarray(predicted) == frame["queue"].to_numpy()).mean() > 0.3  # compared as numbers


def test_what_goes_wrong_and_when_to_ask(model: elman.Classifier) -> None:
    scores = model.evaluate(tickets(60))
    assert isinstance(scores.table, pd.DataFrame)
    assert {"text", "label", "prediction", "probability"} <= {*scores.table.columns}
    wrong = scores.errors()
    assert (wrong["label"] != wrong["prediction"]).all()
    assert wrong["probability"].is_monotonic_decreasing
    by_label = scores.by("label")
    assert {"precision", "recall"} <= {*by_label.columns} and len(by_label) == 3
    assert model.predict("the site again", at_least=1.0) is None


def test_in_scikit_learn() -> None:
    frame = tickets(60)
    pipeline = make_pipeline(ElmanClassifier(epochs=1, hidden=8, embedding=8, networks=1, random_state=0))
    scores = cross_val_score(pipeline, frame["message"], frame["queue"], cv=2)
    assert scores.shape == (2,) and scores.mean() > 1 / 3


def test_on_the_command_line(call: Call) -> None:
    tickets().to_csv("tickets.csv", index=False)
    tickets(30).to_csv("test.csv", index=False)
    train = [
        "train",
        "classify",
        "tickets.csv",
        "--text",
        "message",
        "--label",
        "queue",
        "--epochs",
        "2",
        "--hidden",
        "8",
        "--networks",
        "1",
    ]
    code, out, err = call(*train, "--test", "test.csv")
    assert code == 0 and "Saved in runs/classify-tickets" in out, err
    code, out, err = call(
        "evaluate", "runs/classify-tickets", "test.csv", "--errors", "wrong.csv", "--output", "all.csv"
    )
    assert code == 0 and "accuracy" in out, err
    assert pl.read_csv("wrong.csv").columns == pl.read_csv("all.csv").columns
    code, out, err = call("predict", "runs/classify-tickets", "test.csv", "--output", "answers.csv")
    answers = pl.read_csv(Path("answers.csv"))
    assert code == 0 and len(answers) == 30, err
    assert answers.columns[:2] == ["text", "label"]
