"""`GET /openapi.json`: what can be asked, as OpenAPI 3.1 describes it. Websockets have no place in that."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from elman.serve.answers import KINDS, answer
from elman.serve.transcriptions import FORMATS, GRANULARITIES
from elman.version import __version__

Schema = dict[str, Any]
TEXT: Final[Schema] = {"type": "string"}
NUMBER: Final[Schema] = {"type": "number"}
WHOLE: Final[Schema] = {"type": "integer"}
FLAG: Final[Schema] = {"type": "boolean"}
FILE: Final[Schema] = {"type": "string", "contentMediaType": "application/octet-stream"}
OBJECT: Final[Schema] = {"type": "object"}
ANYTHING: Final[Schema] = {}
MODEL: Final[Schema] = {"name": "model", "in": "path", "required": True, "schema": TEXT}
RUN: Final[Schema] = MODEL | {"name": "run"}
ERROR: Final[Schema] = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": TEXT,
                "type": {"enum": sorted({kind for kind, _ in KINDS.values()})},
                "param": {"type": ["string", "null"]},
                "code": TEXT,
            },
        }
    },
}
REFUSED: Final = {"default": {"description": "An error", "content": {"application/json": {"schema": ERROR}}}}


def listed(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def fields(required: str = "", **properties: Schema) -> Schema:
    """Return the schema of an object; `required` are names with spaces between them."""
    return {"type": "object", "properties": properties, "required": required.split()}


def operation(
    summary: str,
    answers: str,
    body: dict[str, Schema] | None = None,
    produces: tuple[str, ...] = ("application/json",),
    parameters: tuple[Schema, ...] = (),
) -> Schema:
    """Return the description of what a method of a path does: what is sent, by media type, and answered."""
    content = {kind: {"schema": OBJECT if kind.endswith("json") else TEXT} for kind in produces}
    described: Schema = {
        "summary": summary,
        "parameters": list(parameters),
        "responses": {"200": {"description": answers, "content": content}} | REFUSED,
    }
    if body is not None:
        sent = {kind: {"schema": schema} for kind, schema in body.items()}
        described["requestBody"] = {"required": True, "content": sent}
    return described


def _json(required: str, **properties: Schema) -> dict[str, Schema]:
    return {"application/json": fields(required, **properties)}


SAMPLING: Final[dict[str, Schema]] = {
    "model": TEXT,
    "stream": FLAG,
    "stream_options": fields(include_usage=FLAG),
    "max_tokens": WHOLE,
    "temperature": NUMBER,
    "top_p": NUMBER,
    "top_k": WHOLE,
    "seed": WHOLE,
    "stop": {"anyOf": [TEXT, listed(TEXT)]},
}
STREAMS: Final = ("application/json", "text/event-stream")
MESSAGE: Final = fields("role content", role={"enum": ["user", "assistant", "system"]}, content=TEXT)
PREDICT: Final = operation(
    "Answer inputs: label or translate texts, forecast series, reply, or give the next words",
    "The records of `elman predict --json`",
    {
        **_json("input", input=ANYTHING, options=OBJECT),
        "text/csv": TEXT,
        "text/tab-separated-values": TEXT,
    },
    parameters=(MODEL,),
)
RECORDING: Final = fields(
    "file",
    file=FILE,
    model=TEXT,
    response_format={"enum": [*FORMATS]},
    timestamp_granularities=listed({"enum": [*GRANULARITIES]}),
    stream=FLAG,
    keywords=listed(TEXT),
)
PATHS: Final[dict[str, Schema]] = {
    "/health": {"get": operation("Whether the server runs", "It does")},
    "/ready": {"get": operation("Whether the server takes requests", "It does")},
    "/metrics": {"get": operation("Numbers for Prometheus", "Text", produces=("text/plain",))},
    "/openapi.json": {"get": operation("This description", "OpenAPI 3.1")},
    "/v1/models": {"get": operation("The models", "A list, as OpenAI has it, with task and scores")},
    "/v1/models/{model}": {
        "get": operation("What a client has to know of a model", "Facts and card", parameters=(MODEL,))
    },
    "/v1/completions": {
        "post": operation(
            "Continue a text with a language model, as OpenAI has it",
            "A completion, or its pieces",
            _json("model prompt", prompt=TEXT, **SAMPLING),
            STREAMS,
        )
    },
    "/v1/chat/completions": {
        "post": operation(
            "Reply with a chatbot, as OpenAI has it",
            "A reply, whole or as a stream",
            _json("model messages", messages=listed(MESSAGE), max_completion_tokens=WHOLE, **SAMPLING),
            STREAMS,
        )
    },
    "/v1/predict/{model}": {"post": PREDICT},
    "/v1/audio/transcriptions": {
        "post": operation(
            "Transcribe a recording, as OpenAI has it",
            "Its text, with words and times in other formats",
            {"multipart/form-data": RECORDING},
            ("application/json", "text/plain", "text/event-stream"),
        )
    },
    "/v1/look/{model}": {
        "post": operation(
            "Look inside a model as it reads an input",
            "What each of some views shows",
            _json("input views", input=ANYTHING, views=listed(TEXT)),
            parameters=(MODEL,),
        )
    },
    "/v1/chart/{model}": {
        "post": operation(
            "Forecast a series, to be drawn",
            "History, forecast and bands",
            _json("", csv=TEXT, series=TEXT, future=ANYTHING),
            parameters=(MODEL,),
        )
    },
    "/v1/runs": {"get": operation("The trainings of this machine", "A list")},
    "/v1/runs/{run}/events": {
        "get": operation(
            "The metrics of a training, as they come", "Events", None, ("text/event-stream",), (RUN,)
        )
    },
    "/v1/runs/{run}/stop": {
        "post": operation("End a training, which keeps its best model", "It ends", parameters=(RUN,))
    },
}
DOCUMENT: Final[Schema] = {
    "openapi": "3.1.0",
    "info": {
        "title": "elman",
        "version": __version__,
        "description": "Recurrent networks. Live sessions are websockets: /v1/stream/{model}.",
    },
    "paths": PATHS,
    "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    "security": [{"key": []}, {}],
}


async def openapi(_: Request) -> Response:
    """Describe what can be asked."""
    return answer(DOCUMENT)


ROUTES: list[BaseRoute] = [Route("/openapi.json", openapi)]
