"""The models of this folder: how each is made, and what its card says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import torch

import trainings as our
from elman.tasks.transcribe.baseline import Templates

Data = Any
TATOEBA: Final = (
    "Sentences by the contributors of tatoeba.org, by way of manythings.org/anki (fra-eng, April 2019), CC"
    " BY 2.0 FR (creativecommons.org/licenses/by/2.0/fr). The weights are given under the same terms: name "
    "Tatoeba when you pass them on."
)


@dataclass(frozen=True)
class Recipe:
    """How a model is made, and what its card says.

    Attributes:
        about: what it does, in a few words.
        fit: trains it; called with `folder`, `resume` and `work`, a folder for files that training reads.
        tests: data that training did not see, by what they are, of which the first is the one to be shown;
            each is called with the folder for files.
        score: the name of the score to be shown.
        label: what that is called where its own name is too short.
        evaluation: other arguments of `evaluate`.
        lean: what is left out of the model that is shipped, such as what its baseline needs.
        data, licence, attribution: of the training data; `licence` is that of the weights, too.
        limits: what it can't do.
        example: a command.
    """

    about: str
    fit: Callable[..., Any]
    tests: Mapping[str, Callable[[Path], Data]]
    score: str
    data: str
    licence: str
    attribution: str
    limits: str
    example: str
    label: str = ""
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    lean: Callable[[Any], Any] = lambda model: model


def without_text(model: Any) -> Any:
    """Return a language model without the training text, of which its baseline would be built."""
    settings = replace(model.settings, keep_baseline=False)
    return replace(model, settings=settings, ngram_tokens=torch.zeros(0, dtype=torch.int32))


def without_hashes(model: Any) -> Any:
    """Return a classifier or translator without the hashes by which `evaluate` finds texts that it was
    trained on."""
    return replace(model, train_hashes=model.train_hashes[:0])


def without_recordings(model: Any) -> Any:
    """Return a transcriber without the recordings of its baseline, which then answers the commonest text."""
    nothing, none = model.baseline.features[:0], torch.zeros(0, dtype=torch.int64)
    return replace(model, baseline=Templates(model.baseline.texts[:1], nothing, none, none))


RECIPES: Final[dict[str, Recipe]] = {
    "sentiment": Recipe(
        about="does a text praise or blame, or neither",
        fit=our.fit_sentiment,
        tests={
            "a tenth of the rated texts": lambda work: our.labelled(our.rated_texts()[1]),
            "made-up sentences about a movie, such as “The movie was not very good”": (
                lambda work: our.labelled(our.negations(about_movies=True))
            ),
            "made-up remarks of six other words, such as “Not boring at all!”": (
                lambda work: our.labelled(our.remarks(held_out=True))
            ),
        },
        score="accuracy",
        data="VADER's tweets and sentences of reviews and editorials",
        licence="MIT",
        attribution="C.J. Hutto, E. Gilbert, “VADER: A parsimonious rule-based model for sentiment analysis"
        " of social media text”, ICWSM 2014; vaderSentiment 3.3.2, © 2016 C.J. Hutto, MIT. Each"
        " text was rated by 20 people; a mean of 0.5 and more of -4 to 4 counts as positive, of"
        " -0.5 and less as negative. 2,940 made-up sentences with and without “not” were added "
        "to the training, such as “The hotel was not lovely”, “I am not happy” and “Not bad at "
        "all!”, none of them about a movie: in the rated texts “not good” hardly occurs. Remarks such as "
        "the last were kept because they cost no accuracy on a tenth of the training texts: 0.707 with"
        " 600 of them, 0.705 without. The texts below decided nothing.",
        limits="English. Sentences and short texts. Of remarks with words whose negation it has not seen, "
        "such as “Not boring!”, a third goes wrong.",
        example='elman predict elman:sentiment "The movie was not good"',
        lean=without_hashes,
    ),
    "letters": Recipe(
        about="writes like Shakespeare, letter by letter",
        fit=our.fit_letters,
        score="bits",
        limits="It spells words and speaks in verse; what it says has no sense.",
        example='elman generate elman:letters "Shall I " --temperature 0.5',
        tests={
            "three plays, whole: Macbeth, The Tempest, Twelfth Night": lambda work: our.plays(work, test=True)
        },
        data="Shakespeare's plays and poems",
        licence="public domain",
        attribution="William Shakespeare, from the texts of martin-gorner/tensorflow-rnn-shakespeare.",
        lean=without_text,
    ),
    "words": Recipe(
        about="predicts the next word of everyday English",
        fit=our.fit_words,
        score="perplexity",
        limits="Short everyday sentences taught it, one in nine of which is about Tom. It knows no news, "
        "names or trades, and no sentence that goes on from the one before.",
        example='elman predict elman:words "I would like to"',
        tests={"a twentieth of the sentences": lambda work: our.sentences(test=True)},
        data="Tatoeba's English sentences",
        licence="CC-BY-2.0",
        attribution=TATOEBA,
        lean=without_text,
    ),
    "french": Recipe(
        about="translates short French sentences to English",
        fit=our.fit_french,
        tests={"pairs with other French sentences": lambda work: our.sentence_pairs(test=True)},
        score="bleu",
        data="Tatoeba's pairs of at most 5 words",
        licence="CC-BY-2.0",
        attribution=TATOEBA,
        limits="Everyday sentences of up to 5 words. Rare words and names may come out as something else. "
        "Its chrF is below the dictionary's, its BLEU above.",
        example='elman predict elman:french "Je ne sais pas."',
        lean=without_hashes,
    ),
    "digits": Recipe(
        about="writes spoken English digits, live",
        fit=our.fit_digits,
        tests={
            "takes 0 to 4 of each digit and speaker, the data set's own test": (
                lambda work: our.recordings(test=True)
            )
        },
        score="exact",
        data="Free Spoken Digit Dataset",
        licence="CC-BY-SA-4.0",
        attribution="Z. Jackson and others, Free Spoken Digit Dataset, six speakers, 8 kHz, CC BY-SA 4.0 "
        "(creativecommons.org/licenses/by-sa/4.0). Pass the model on under the same licence.",
        limits="Six speakers taught it: it knows other voices less well (`fsdd_speakers` in "
        "docs/benchmarks.md).",
        example="elman predict elman:digits recording.wav",
        lean=without_recordings,
    ),
    "talk": Recipe(
        about="small talk, and a little general knowledge",
        fit=our.fit_talk,
        tests={"questions that training did not see": lambda work: our.talks(test=True)},
        score="hits",
        label="true reply first of 20",
        data="ChatterBot corpus, English topics but coding and tech support",
        licence="BSD-3-Clause",
        attribution="chatterbot-corpus 1.3.3, © 2017 Gunther Cox, BSD 3-Clause; and 45 questions and "
        "answers written for elman. The model holds the replies, from which it chooses.",
        limits="It repeats what it was taught, jokes and mistakes included, and knows nothing else.",
        example='elman predict elman:talk "What is your name?"',
    ),
    "sales": Recipe(
        about="forecasts monthly sales a year ahead",
        fit=our.fit_sales,
        tests={"the last three years, a forecast each month": lambda work: our.series.sales()},
        evaluation={"step": 1},
        score="mase",
        data="US retail and food services sales, 1992 to 2013",
        licence="public domain",
        attribution="U.S. Census Bureau, Monthly Retail Trade Survey, a work of the US government.",
        limits="One series taught it. It reads other monthly series of sales, but train on yours where"
        " you can.",
        example="elman predict elman:sales",
    ),
}
