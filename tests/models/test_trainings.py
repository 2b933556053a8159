"""models/trainings.py on small data of each kind: what is trained on, and what is held back for the test."""

from pathlib import Path
from typing import Any

import pytest

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.syspath_prepend(str(MODELS))
    monkeypatch.setenv("ELMAN_DATA", str(tmp_path))
    import trainings

    return trainings


def written(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        stem, _, ending = name.rpartition("_")
        (folder / f"{stem}.{ending}").write_text(content, encoding="utf-8")


def test_missing_data_are_named(trainings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"ELMAN_DATA to the folder that holds translation/tatoeba"):
        trainings.sentence_pairs(test=True)
    monkeypatch.delenv("ELMAN_DATA")
    with pytest.raises(SystemExit, match="ELMAN_DATA"):
        trainings.recordings(test=True)


def test_ratings_become_labels(trainings: Any, tmp_path: Path) -> None:
    lines = [f"{k}\t{rating}\ttext\twith a tab {k}\n" for k, rating in enumerate((0.5, -0.5, 0.49, -3.9) * 5)]
    files = {f"{name}_GroundTruth_txt": "".join(lines) for name in trainings.RATED}
    written(tmp_path / "sentiment/vader_icwsm2014", **files)
    train, test = trainings.rated_texts()
    labels = dict(train + test)
    assert [labels[f"text\twith a tab {k}"] for k in range(4)] == [
        "positive",
        "negative",
        "neutral",
        "negative",
    ]
    assert test and not {text for text, _ in train} & {text for text, _ in test}


def test_made_up_sentences_mean_what_they_say(trainings: Any) -> None:
    labels = dict(trainings.negations(about_movies=True) + trainings.feelings())
    assert labels["The movie was not good"] == labels["I am not very happy"] == "negative"
    assert labels["The movie was good"] == labels["We were not disappointed"] == "positive"
    assert not any("movie" in text for text, _ in trainings.negations(about_movies=False))
    assert len(trainings.feelings()) + trainings.MADE + trainings.REMARKS == 2940  # as the card says


def test_remarks_mean_what_they_say_and_some_words_are_held_back(trainings: Any) -> None:
    held_out, trained = (dict(trainings.remarks(held_out=part)) for part in (True, False))
    assert trained["Not bad at all!"] == trained["Very good."] == held_out["It's not weak"] == "positive"
    assert trained["Not great"] == held_out["boring!"] == held_out["Not very funny at all"] == "negative"
    words = {word for text in trained for word in text.lower().replace(".", "").replace("!", "").split()}
    assert not words & {*trainings.REMARKS_HELD_OUT}
    assert not held_out.keys() & trained.keys()
    assert len(trained) >= trainings.REMARKS


def test_sentences_are_in_documents_and_in_one_part(trainings: Any, tmp_path: Path) -> None:
    lines = [f"It is {k}.\tC'est {k}.\nIT IS {k}.\tVoilà {k}.\nIt is {k}.\tOui {k}.\n" for k in range(100)]
    written(tmp_path / "translation/tatoeba", **{"fra-eng_txt": "".join(lines)})
    train, test = (
        [text.split("\n") for text in trainings.sentences(test=part)["text"]] for part in (False, True)
    )
    assert [len(texts) for texts in train] == [10] * 19 and [len(texts) for texts in test] == [10]
    every = [[text for texts in part for text in texts] for part in (train, test)]
    assert len({*every[0], *every[1]}) == 200  # each once
    numbers = [{text.split()[-1] for text in part} for part in every]
    assert not numbers[0] & numbers[1]
    assert every[0] != sorted(every[0])


def test_whole_plays_are_held_back(trainings: Any, tmp_path: Path) -> None:
    files = {
        "hamlet_txt": "HAMLET",
        "tempest_txt": "ARIEL",
        "macbeth_txt": "BANQUO",
        "SOURCE_txt": "a licence",
    }
    written(tmp_path / "lm/shakespeare_plays", **files)
    work = tmp_path / "work"
    assert trainings.plays(work, test=False).read_text() == "HAMLET"
    assert trainings.plays(work, test=True).read_text() == "BANQUO\n\nARIEL"


def test_no_french_sentence_is_in_both_parts(trainings: Any, tmp_path: Path) -> None:
    lines = [f"Go {k}.\tVa {k // 2}.\n" for k in range(100)] + [
        "I do not know what to say.\tJe ne sais pas.\n"
    ]
    written(tmp_path / "translation/tatoeba", **{"fra-eng_txt": "".join(lines)})
    train, test = (trainings.sentence_pairs(test=part) for part in (False, True))
    assert (len(train["source"]), len(test["source"])) == (98, 2)  # the long pair is in neither
    assert not set(train["source"]) & set(test["source"])
    assert all(french.startswith("Va") for french in test["source"])


def test_takes_of_recordings(trainings: Any, tmp_path: Path) -> None:
    written(tmp_path / "speech/fsdd", **{"7_theo_4_wav": "", "7_theo_5_wav": "", "0_ann_12_wav": ""})
    (test,) = trainings.recordings(test=True)
    assert (Path(test["audio"]).name, test["text"], test["speaker"]) == ("7_theo_4.wav", "seven", "theo")
    assert {row["text"] for row in trainings.recordings(test=False)} == {"zero", "seven"}


def test_conversations_are_read_and_divided(trainings: Any, tmp_path: Path) -> None:
    talk = "categories:\n- x\nconversations:\n- - Who are you?\n  - 'A bot.'\n  - Oh\n"
    talk += "- - alone\n- - Hi\n  - Hello\n"
    written(
        tmp_path / "chat/chatterbot_corpus",
        greetings_yml=talk,
        coding_yml="- - What is Python?\n  - A snake.\n",
    )
    train, test = trainings.talks(test=False), trainings.talks(test=True)
    assert ["Who are you?", "A bot.", "Oh"] in train + test
    assert ["Hi", "Hello"] in train + test
    assert not any("Python?" in talk[0] or len(talk) < 2 for talk in train + test)
    assert test and not {talk[0] for talk in train} & {talk[0] for talk in test}


def test_the_last_years_of_sales_are_held_back(trainings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(trainings.elman.Forecaster, "fit", lambda data, **_: seen.append(data))
    trainings.fit_sales(Path("unused"))
    (months,) = seen
    assert str(months["ds"].max()) == "2013-05-01"
