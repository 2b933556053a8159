"""Static files of the page. Each has its own route, so that no other file can be reached."""

from functools import partial
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

FOLDER: Final = Path(__file__).parent / "page"


async def _file(path: Path, _: Request) -> Response:
    return FileResponse(path)


def _routes() -> list[BaseRoute]:
    files = sorted(path for path in FOLDER.rglob("*") if path.is_file())
    routes = [Route(f"/{path.relative_to(FOLDER).as_posix()}", partial(_file, path)) for path in files]
    return [Route("/", partial(_file, FOLDER / "index.html")), *routes]


ROUTES: list[BaseRoute] = _routes()
