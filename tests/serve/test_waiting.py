"""Deadlines."""

from saved_models import SAVED
from serving import serving


def test_what_takes_too_long_is_broken_off() -> None:
    with serving({"a": SAVED / "chat"}, deadline=0.001) as hurried:
        hurried.http.get("/v1/models/a")  # loads it
        answer = hurried.predict("a", ["Hi, I am Ada."] * 40)
        assert hurried.error(answer) == "503 the answer took longer than this server's deadline"
        assert answer.headers["retry-after"] == "1"
