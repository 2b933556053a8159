"""The small sentiment network: what it learns, what the lens sees of it, and words that it has not read."""

from pathlib import Path

import pytest
import torch

from elman import lens
from elman.errors import UsageError
from elman.lesson import sentiment
from elman.lesson.sentiment import Sentiment, reaching, trained

LONDON = "The movie which I watched last year in London was not good"


# trained once: the claims of the pages are about a network that has learned
def test_not_turns_good_round() -> None:
    model = trained("LSTM")
    assert model.predict("The movie was good") > 0.9
    assert model.predict("The movie was not good") < 0.1
    assert model.predict(LONDON) < 0.1
    assert model.predict("The book was never boring") > 0.9
    running = model.running("The movie was not good")
    assert [word for word, _ in running] == ["The", "movie", "was", "not", "good"]
    assert running[-1][1] == model.predict("The movie was not good")
    assert trained("LSTM") is model


def test_not_is_at_work_while_good_is_read() -> None:
    model = trained("LSTM")
    moved = lens.attribution(model, "The movie was not good")
    assert int(moved.occlusion[:, 0].argmax()) == 3  # without "not" the answer falls most
    reading = lens.attribution_by_prefix(model, "The movie was not good").scores
    assert reading[4, 3] > reading[3, 3] + 0.5


def test_a_view_scores_the_answer_and_names_the_words() -> None:
    model = Sentiment("GRU")
    view = model.view([LONDON, "The film was dull"])
    with torch.no_grad():
        scores = view.score(view.module(*view.input))
    chances = torch.tensor([model.predict(LONDON), model.predict("The film was dull")])
    torch.testing.assert_close(scores, torch.logit(chances).abs(), atol=1e-5, rtol=1e-4)
    assert view.answers == tuple("good" if chance > 0.5 else "bad" for chance in chances)
    assert view.labels_of("layer l0")[1] == ("The", "film", "was", "dull")
    words, lengths = view.cut(3)
    assert (words.shape, lengths.tolist()) == ((3, 2), [3, 3])


@pytest.mark.parametrize(
    ("text", "sentence"), [("The weather was good", "never read the word 'weather'"), ("", "no word to read")]
)
def test_words_that_it_cannot_read(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Sentiment("Elman").predict(text)
    with pytest.raises(UsageError, match="of Elman, GRU, LSTM, not 'RNN'"):
        Sentiment("RNN")


def test_the_gradient_vanishes_in_elmans_network_first(tmp_path: Path) -> None:
    seen = reaching(LONDON, train=False)
    assert seen.words == tuple(LONDON.split())
    assert all(shares[-1] == 1 for shares in seen.shares.values())
    assert seen.shares["Elman"][0] < 0.01 * min(seen.shares["GRU"][0], seen.shares["LSTM"][0])
    assert len(str(seen).splitlines()) == 3
    assert seen.to_dict()["words"] == LONDON.split()
    seen.plot(tmp_path / "london.png")
    assert (tmp_path / "london.png").stat().st_size


def test_a_trained_network_may_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentiment, "trained", Sentiment)
    assert reaching("The movie was good", train=True) == reaching("The movie was good", train=False)
