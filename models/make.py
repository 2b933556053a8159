"""Train the models of this folder again, score them on what training did not see, and write their cards.

    ELMAN_DATA=... python models/make.py                      # all
    ELMAN_DATA=... python models/make.py sentiment digits

Weights are written with 8 bits, and that model is scored. Trained models with 32 bits stay in runs/models,
where an interrupted training goes on and a finished one is only scored and written again.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from textwrap import fill
from typing import Any, Final

import elman
from elman.artifact import is_artifact
from elman.pretrained import CARD_FILE, INDEX
from elman.tasks.evaluation import Evaluation
from recipes import RECIPES, Recipe

HOME: Final = Path(__file__).parent / "src" / "elman_models"
RUNS: Final = Path("runs/models")
BITS: Final = 8  # of a weight
WIDTH: Final = 120  # of a card's lines
WORK: Final = RUNS / "data"
LOWER_IS_BETTER: Final = ("bits", "perplexity", "mase")
CARD: Final = """# elman:{name}

{about}.

    {example}

{facts}

{scores}
README.md has what training wrote down: settings, sizes and scores on the data that chose the model.
"""


def main() -> None:
    """Make the named models, or all."""
    names = sys.argv[1:] or list(RECIPES)
    if unknown := [name for name in names if name not in RECIPES]:
        sys.exit(f"there is no model {unknown[0]!r}: there are {', '.join(RECIPES)}")
    for name in names:
        entry = make(name, RECIPES[name])
        index = json.loads((HOME / INDEX).read_text(encoding="utf-8")) if (HOME / INDEX).exists() else {}
        index[name] = entry
        ordered = {name: index[name] for name in RECIPES if name in index}
        (HOME / INDEX).write_text(json.dumps(ordered, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def make(name: str, recipe: Recipe) -> dict[str, Any]:
    """Train a model unless it is trained; write it with few bits, and its card. Return its index entry."""
    model, minutes = trained(name, recipe)
    recipe.lean(model).save(HOME / name, overwrite=True, bits=BITS)
    small = elman.load(HOME / name)
    exact, scored = {}, {}
    for kind, test in recipe.tests.items():
        data = test(WORK)
        exact[kind] = model.evaluate(data, **recipe.evaluation)
        # the small one may have been written without what its baseline needs
        baselines = exact[kind].baselines
        scored[kind] = replace(small.evaluate(data, **recipe.evaluation), baselines=baselines)
        print(
            f"{name}, {kind}, with 32 bits:\n{exact[kind]}\nwith {BITS} bits:\n{scored[kind]}\n", flush=True
        )
    kind = next(iter(scored))
    entry = {
        "task": model.task,
        "about": recipe.about,
        "score": score_of(recipe, scored[kind]) | {"tested_on": kind},
        "data": recipe.data,
        "licence": recipe.licence,
        "example": recipe.example,
    }
    label, key = entry["score"]["label"], recipe.score
    facts = {
        "Limits": recipe.limits,
        "Learned from": f"{recipe.data}. {recipe.attribution}",
        "Licence of the data and of the weights": f"{recipe.licence}.",
        "Made by": f"`python models/make.py {name}`, in {minutes} minutes of processor time.",
        f"Weights of {BITS} bits": f"{label} {scored[kind].scores[key]:.4f}; with 32 bits "
        f"{exact[kind].scores[key]:.4f}.",
    }
    card = CARD.format(
        name=name,
        about=recipe.about[0].upper() + recipe.about[1:],
        example=recipe.example,
        facts="\n".join(
            fill(f"- **{what}**: {fact}", WIDTH, subsequent_indent="  ") for what, fact in facts.items()
        ),
        scores="\n".join(f"## On {kind}\n\n```text\n{one}\n```\n" for kind, one in scored.items()),
    )
    (HOME / name / CARD_FILE).write_text(card, encoding="utf-8")
    return entry


def trained(name: str, recipe: Recipe) -> tuple[Any, str]:
    """Return the model of 32 bits, and the minutes of processor time that its training took."""
    folder, minutes = RUNS / name, RUNS / f"{name}.minutes"
    unfinished = (folder / "checkpoint.pt").exists()
    if unfinished or not is_artifact(folder):
        started = time.process_time()
        recipe.fit(WORK, folder=folder, resume=unfinished)
        minutes.write_text(f"{(time.process_time() - started) / 60:.1f}")
    return elman.load(folder), minutes.read_text()


def score_of(recipe: Recipe, evaluation: Evaluation) -> dict[str, Any]:
    """Return the score to be shown, and that of the best plain method; "network" is a part of the model."""
    key = recipe.score
    lower = key in LOWER_IS_BETTER
    plain = {name: one[key] for name, one in evaluation.baselines.items() if name != "network"}
    name = (min if lower else max)(plain, key=lambda one: plain[one])
    return {
        "label": recipe.label or evaluation.metrics()[key].label,
        "value": evaluation.scores[key],
        "baseline": name,
        "baseline_value": plain[name],
        "lower_is_better": lower,
    }


if __name__ == "__main__":
    main()
