"""What a body may be."""

import json
import socket
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.serve.answers import ApiError
from elman.serve.bodies import parsed_object
from saved_models import SAVED
from serving import Served, serving

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=30)
@given(st.dictionaries(st.text(), VALUES, max_size=3))
def test_objects_are_read_as_they_were_written(value: dict[str, object]) -> None:
    assert parsed_object(json.dumps(value)) == value == parsed_object(json.dumps(value).encode())


@given(st.binary() | st.text())
def test_anything_else_is_refused(content: bytes | str) -> None:
    try:
        assert isinstance(parsed_object(content), dict)
    except ApiError as error:
        assert error.status == 400


@pytest.mark.parametrize("content", ['{"a": "\\ud83d\\ude00"}', b'{"a": "\xf0\x9f\x98\x80"}'])
def test_whole_pairs_of_surrogates_are_text(content: bytes | str) -> None:
    assert parsed_object(content) == {"a": "😀"}


def test_a_body_that_is_too_long(served: Served) -> None:
    with serving({"a": SAVED / "classify"}, message_bytes=1024, upload_bytes=2048) as small:
        assert small.predict("a", "x" * 900).status_code == 200
        assert small.error(small.predict("a", "x" * 2000)).startswith("413 the body has more than 1024 bytes")
        csv = {"content-type": "text/csv"}
        assert small.http.post("/v1/predict/a", content=b"text\n" + b"x" * 1500, headers=csv).is_success
        assert small.http.post("/v1/predict/a", content=b"x" * 3000, headers=csv).status_code == 413


def test_large_bodies_are_so_many_at_a_time() -> None:
    csv = {"content-type": "text/csv"}
    with serving({"a": SAVED / "classify"}, message_bytes=1024, uploads=1) as small:
        head = b"POST /v1/predict/a HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/csv\r\n"
        with socket.create_connection(("127.0.0.1", small.port), 60) as slow:
            slow.sendall(head + b"content-length: 9000\r\n\r\n" + b"text\n" + b"x" * 2000)
            while not small.app.state.traffic.uploads:
                time.sleep(0.01)
            answer = small.http.post("/v1/predict/a", content=b"text\n" + b"x" * 1500, headers=csv)
            assert small.error(answer) == "429 this server takes 1 upload at a time: try again later"
            assert answer.headers["retry-after"] == "1"
            assert small.predict("a", "good").is_success  # as small as a message
        for _ in range(2):  # the first has gone, and each gives its place back
            while small.app.state.traffic.uploads:
                time.sleep(0.01)
            answer = small.http.post("/v1/predict/a", content=b"text\n" + b"x" * 1500, headers=csv)
            assert answer.is_success


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/v1/predict/a", "application/json"), ("/v1/audio/transcriptions", "multipart/form-data; boundary=b")],
)
def test_a_body_that_does_not_come(path: str, kind: str) -> None:
    with (
        serving({"a": SAVED / "classify"}, idle=0.2) as impatient,
        socket.create_connection(("127.0.0.1", impatient.port), 60) as client,
    ):
        head = (
            f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: 9\r\n\r\n-"
        )
        client.sendall(head.encode())
        assert client.recv(100).startswith(b"HTTP/1.1 503 ")
