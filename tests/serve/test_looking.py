"""What a look returns equals what the lens computes, of the last steps and the liveliest units."""

import json
from typing import Any

import pytest
import torch

import elman
from elman import lens
from elman.errors import UsageError
from elman.serve import looking
from elman.serve.looking import VIEWS, look
from saved_models import SAVED

TEXT = "the film was not good"
INPUTS: dict[str, Any] = {
    "classify": [TEXT],
    "generate": ["I love deep"],
    "translate": ["la"],
    "chat": [{"role": "user", "content": "Hi, I am Ada."}],
    "forecast": None,
}


@pytest.fixture(scope="module")
def model() -> Any:
    return elman.load(SAVED / "classify")


@pytest.mark.parametrize("task", INPUTS)
def test_every_view_of_every_task_is_json(task: str) -> None:
    seen = look(elman.load(SAVED / task), INPUTS[task], [*VIEWS])
    assert json.loads(json.dumps(seen, allow_nan=False)).keys() >= VIEWS.keys()
    for one in seen["states"]:
        for values in one["maps"].values():
            assert len(values) == len(one["labels"]) and {len(row) for row in values} == {len(one["units"])}


def test_it_is_what_the_lens_says(model: Any) -> None:
    seen = look(model, [TEXT], ["attribution", "states", "gates", "flow", "horizon", "unroll", "reading"])
    moved = lens.attribution(model, [TEXT], steps=looking.POINTS)
    assert seen["attribution"]["scores"] == pytest.approx(moved.scores[:, 0].tolist(), abs=1e-4)
    assert seen["attribution"]["occlusion"] == pytest.approx(moved.occlusion[:, 0].tolist(), abs=1e-4)
    assert seen["attribution"]["labels"] == ["(start)", *TEXT.split()]
    layer = lens.states(model, [TEXT]).layers[0]
    (states,), (gates,) = seen["states"], seen["gates"]
    assert torch.allclose(torch.tensor(states["maps"]["h"]), layer.states["h"][:, 0], atol=1e-4)
    assert gates["maps"].keys() == layer.gates.keys() and gates["units"] == [*range(8)]
    flow = lens.gradient_flow(model, [TEXT]).to_dict()["layers"]["layers l0"]
    assert seen["flow"][0]["norms"]["h"] == pytest.approx([row[0] for row in flow["h"]])
    assert (
        seen["unroll"]["layers"]
        == lens.unroll(model, [TEXT], most=looking.MAX_UNROLLED_STEPS).to_dict()["layers"]
    )
    assert seen["horizon"]["layers"] == lens.memory_horizon(model, [TEXT]).to_dict()["layers"]
    assert seen["reading"]["labels"] == ["(start)", *TEXT.split()]
    assert seen["answer"].startswith("bad")


def test_a_long_input_shows_its_last_steps_and_the_units_that_vary_most(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "MAX_STEPS", 3)
    monkeypatch.setattr(looking, "MAX_UNITS", 2)
    monkeypatch.setattr(looking, "MAX_OCCLUDED_STEPS", 3)
    seen = look(model, [TEXT], ["states", "attribution"])
    (states,) = seen["states"]
    assert states["labels"] == ["was", "not", "good"] and states["first"] == 3 and states["of"] == 8
    spread = lens.states(model, [TEXT]).layers[0].states["h"][3:, 0].std(0, unbiased=False)
    assert states["units"] == sorted(spread.argsort(descending=True)[:2].tolist())
    assert seen["attribution"]["occlusion"] is None and len(seen["attribution"]["scores"]) == 3


def test_neighbours_are_looked_for_among_the_other_inputs(model: Any) -> None:
    assert look(model, [TEXT], ["neighbours"])["neighbours"] is None
    found = look(model, [TEXT, "the end was not good"], ["neighbours"])["neighbours"]
    assert found["here"]["labels"] == ["was", "not", "good"] and found["matches"][0]["sequence"] == 1


def test_an_unknown_view_is_named(model: Any) -> None:
    with pytest.raises(UsageError, match=r"^there is no view 'state'; did you mean 'states'\?$"):
        look(model, [TEXT], ["state"])
    with pytest.raises(UsageError, match="the views are attribution, reading"):
        look(model, [TEXT], ["xyz"])
