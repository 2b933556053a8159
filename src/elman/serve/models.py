"""`GET /v1/models`: the list of models in OpenAI's format, and the details of one."""

from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from elman.serve.answers import answer
from elman.serve.shelf import Entry


def listing(entry: Entry) -> dict[str, Any]:
    """Return a model's entry in the list, which needs no weights."""
    return {
        "id": entry.name,
        "object": "model",
        "created": entry.created,
        "owned_by": "elman",
        "task": entry.task,
        "title": entry.title,
        "scores": entry.scores,
        "score": None if entry.known is None else asdict(entry.known.score),
        "loaded": entry.is_loaded,
    }


async def all_models(request: Request) -> Response:
    """List the models."""
    return answer({"object": "list", "data": [listing(entry) for entry in request.app.state.shelf]})


async def one_model(request: Request) -> Response:
    """Describe a model, and load it if necessary."""
    entry: Entry = request.app.state.shelf[request.path_params["model"]]
    loaded = await entry.loaded()
    facts = await loaded.run(loaded.model.facts)
    return answer(listing(entry) | {"card": entry.card} | facts)


ROUTES: list[BaseRoute] = [
    Route("/v1/models", all_models),
    Route("/v1/models/{model}", one_model),
]
