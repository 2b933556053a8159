"""The page and its files."""

from pathlib import Path

import elman.serve
from serving import Served

PAGE = Path(elman.serve.__file__).parent / "page"


def test_every_file_of_the_page_is_sent_as_it_is(served: Served) -> None:
    assert served.http.get("/").headers["content-type"].startswith("text/html")
    assert served.http.get("/").content == (PAGE / "index.html").read_bytes()
    for file in PAGE.rglob("*.*"):
        assert served.http.get(f"/{file.relative_to(PAGE).as_posix()}").content == file.read_bytes()


def test_no_address_leads_to_another_file(served: Served) -> None:
    for path in ("/app.py", "/../app.py", "/%2e%2e/app.py", "/..%2fapp.py", "/%2e%2e%2f%2e%2e%2ferrors.py"):
        assert served.http.get(path).status_code == 404
