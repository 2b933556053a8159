"""The description has every route, and no other."""

import re
from collections.abc import Iterable

import pytest
from starlette.routing import Route

from elman.serve import openai_text, transcriptions
from elman.serve.app import ROUTES
from elman.serve.openapi import DOCUMENT, fields, listed, operation
from serving import Served


def test_every_route_is_described(served: Served) -> None:
    described = served.http.get("/openapi.json").json()
    assert described["openapi"] == "3.1.0" and described["paths"] == DOCUMENT["paths"]
    routes = {
        (route.path, method.lower())
        for route in ROUTES
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert {(path, method) for path, one in DOCUMENT["paths"].items() for method in one} == routes


def test_parameters_are_those_of_the_path() -> None:
    for path, methods in DOCUMENT["paths"].items():
        for one in methods.values():
            names = {parameter["name"] for parameter in one["parameters"]}
            assert names == set(re.findall(r"\{(\w+)\}", path))
            assert one["summary"] and one["responses"]["200"]["description"] and one["responses"]["default"]


@pytest.mark.parametrize(
    ("path", "kind", "names"),
    [
        ("/v1/completions", "application/json", openai_text.COMPLETION),
        ("/v1/chat/completions", "application/json", openai_text.CHAT),
        ("/v1/audio/transcriptions", "multipart/form-data", transcriptions.FIELDS),
    ],
)
def test_fields_are_those_that_are_read(path: str, kind: str, names: Iterable[str]) -> None:
    body = DOCUMENT["paths"][path]["post"]["requestBody"]["content"][kind]["schema"]
    assert body["properties"].keys() == set(names)


def test_schemas() -> None:
    assert listed({"type": "string"}) == {"type": "array", "items": {"type": "string"}}
    assert fields("a", a={}, b={})["required"] == ["a"]
    described = operation("Do", "Done", {"text/csv": {"type": "string"}}, ("text/plain",))
    assert described["requestBody"]["content"]["text/csv"]["schema"] == {"type": "string"}
    assert described["responses"]["200"]["content"]["text/plain"]["schema"] == {"type": "string"}
