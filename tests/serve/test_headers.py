"""Headers of every answer."""

import pytest

from serving import Served


@pytest.mark.parametrize("path", ["/", "/v1/models", "/nothing"])
def test_nothing_from_elsewhere_may_run(served: Served, path: str) -> None:
    headers = served.http.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
