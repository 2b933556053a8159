"""What the lens sees of a translator: encoder and decoder over one sentence."""

import pytest

from elman import Translator, UsageError, lens


def test_scores_are_the_log_probabilities_of_translations(model: Translator) -> None:
    texts = ["pomon vidas la kato.", "libron portas la hundo."]
    view = model.view(texts)
    assert view.answers == tuple(model.predict(texts))
    assert view.score is not None
    scores = view.score(view.module(*view.input))
    for text, score in zip(texts, scores.detach().tolist(), strict=True):
        assert score == pytest.approx(model.translate([text])[0][0].score, abs=1e-3)
    whole = lens.states(view)
    assert {one.name.split()[0] for one in whole.layers} == {"encoder.0", "query_rnn", "output_rnn"}
    for one in whole.layers:
        assert len(one.taken) == max(len(labels) for labels in view.labels_of(one.name))


def test_of_a_long_text_the_first_part(model: Translator) -> None:
    view = model.view("Pomon vidas la kato. Libron portas la hundo.")
    assert len(view.answers) == 1
    assert model.codec.single == bool(view.notes)


@pytest.mark.parametrize("data", ["", [], ["  "]])
def test_nothing_to_look_at(model: Translator, data: object) -> None:
    with pytest.raises(UsageError, match="nothing to look at"):
        model.view(data)
