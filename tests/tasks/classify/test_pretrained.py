"""A classifier that starts from a language model, against that model."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import elman
from elman.data.batches import pad
from elman.data.text.vocabulary import END
from elman.errors import ArtifactError, ElmanError, UsageError
from elman.tasks.classify.examples import encode
from elman.tasks.classify.network import ClassifierNet
from elman.tasks.classify.pretrained import read_start
from elman.tasks.classify.settings import Settings
from saved_models import SAVED

TEXTS = [f"the film was {'good' if k % 2 else 'bad'} {k % 5}" for k in range(60)]
ROWS = {"text": TEXTS, "label": [text.split()[3] for text in TEXTS]}
QUICK: dict[str, Any] = {"epochs": 1, "progress": False}


def language(tokenizer: str = "word", **settings: Any) -> elman.LanguageModel:
    texts = [f"{text} {k}" for k, text in enumerate(TEXTS * 3)]
    sizes: dict[str, Any] = {"hidden": 6, "embedding": 4, "bptt": 8, "epochs": 1, "vocabulary": 280}
    return elman.LanguageModel.fit(
        {"text": texts}, text="text", tokenizer=tokenizer, progress=False, **sizes | settings
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language") / "model"
    language(layers=2).save(folder)
    return folder


@pytest.mark.parametrize("settings", [{"layers": 2}, {"cell": "gru"}, {"cell": "indrnn"}, {"hidden": 4}])
@pytest.mark.parametrize("phrase", [0, 2])  # of no evidence
def test_its_first_outputs_are_those_of_the_language_model(settings: Any, phrase: int) -> None:
    model = language(**settings)
    start = read_start(model)
    network = ClassifierNet(Settings(**start.fixed, phrase=phrase), len(start.tokenizer) + 1, 2)
    start.begin(network)
    text = "the film was quite good, not bad"
    ids = encode(start.tokenizer, text)
    with torch.no_grad():
        outputs, _ = network.eval().layers(network.inputs(pad([ids])[0]))
        theirs = torch.tensor([END, *model.vocabulary.encode(text).tolist()]).unsqueeze(1)
        expected, _, _ = model.network.eval()(theirs)
    assert len(ids) == len(theirs)
    torch.testing.assert_close(outputs, expected)


def test_the_model_needs_no_folder_of_the_language_model_and_streams(folder: Path, tmp_path: Path) -> None:
    start = tmp_path / "start"
    shutil.copytree(folder, start)
    model = elman.Classifier.fit(ROWS, pretrained=str(start), folder=tmp_path / "model", **QUICK)
    shutil.rmtree(start)
    loaded = elman.load(tmp_path / "model")
    answers = loaded.predict(TEXTS[:5], probabilities=True)
    assert answers == model.predict(TEXTS[:5], probabilities=True)
    assert "It started from a language model of dict." in (tmp_path / "model" / "README.md").read_text()
    stream = loaded.stream()
    for letter in TEXTS[0]:
        stream.push(letter)
    assert stream.result(probabilities=True) == pytest.approx(answers[0], abs=1e-5)
    assert (loaded.settings.hidden, loaded.settings.layers, loaded.settings.bidirectional) == (6, 2, False)


def test_a_model_in_memory_does_as_well_as_its_folder(folder: Path) -> None:
    loaded = elman.load(folder)
    assert read_start(loaded).fingerprint == read_start(folder).fingerprint
    with torch.no_grad():
        loaded.network.embedding.weight[3] += 1
    assert read_start(loaded).fingerprint != read_start(folder).fingerprint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 9}, "hidden=9 contradicts the language model to start from, which has hidden=6: leave"),
        ({"bidirectional": True}, "which has bidirectional=False"),
        ({"tokenizer": "subword"}, "which has tokenizer='word'"),
        ({"cell": "gru", "epochs": 1}, "cell='gru' contradicts .* cell='lstm'"),
    ],
)
def test_a_setting_that_contradicts_the_language_model_is_refused(
    settings: Any, message: str, folder: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        elman.Classifier.fit(ROWS, pretrained=folder, **settings)


def test_a_setting_that_agrees_with_the_language_model_is_taken(folder: Path) -> None:
    model = elman.Classifier.fit(
        ROWS, pretrained=folder, hidden=6, cell="LSTM", stream=True, networks=2, **QUICK
    )
    assert len(model.network.members) == 2


@pytest.mark.parametrize(
    ("pretrained", "kind", "message"),
    [
        (SAVED / "classify", UsageError, "is not a language model to start from, but a model for 'classify'"),
        (SAVED / "forecast", UsageError, "but a model for 'forecast'"),
        ("runs/missing", UsageError, "there is no model at runs/missing"),
        (7, UsageError, "pretrained must be a LanguageModel or the folder of one, not int"),
    ],
)
def test_what_is_no_language_model_is_refused(pretrained: Any, kind: type[ElmanError], message: str) -> None:
    with pytest.raises(kind, match=message):
        elman.Classifier.fit(ROWS, pretrained=pretrained)


@pytest.mark.parametrize("tokenizer", ["character", "subword", "space"])
def test_a_language_model_that_reads_no_words_is_refused(tokenizer: str) -> None:
    with pytest.raises(
        UsageError, match=f"has tokenizer='{tokenizer}'; a classifier starts from one of words"
    ):
        elman.Classifier.fit(ROWS, pretrained=language(tokenizer))


def test_a_language_model_of_another_language_is_refused(folder: Path) -> None:
    texts = [text.replace("the film was", "der Streifen ist wohl") for text in TEXTS]
    with pytest.raises(UsageError, match="knows only 33 % of the words of dict"):
        elman.Classifier.fit(ROWS | {"text": texts}, pretrained=folder)


def test_a_damaged_language_model_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "model")
    file = tmp_path / "model" / "vocabulary.json"
    file.write_text(file.read_text().replace("film", "firm"))
    with pytest.raises(ArtifactError) as raised:
        elman.Classifier.fit(ROWS, pretrained=tmp_path / "model")
    assert "\n" not in str(raised.value)
