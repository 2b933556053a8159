"""The application: what is not there."""

from serving import Served


def test_what_is_not_there(served: Served) -> None:
    assert served.error(served.http.get("/v1/nothing")).startswith("404 Not Found")
    assert served.error(served.http.get("/v1/predict/classify")).startswith("405 Method Not Allowed")
