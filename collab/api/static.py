"""The editor's page, as `web` was built: `index.html`, what lies beside it, and `assets`.

Vite puts a hash of its content into the name of each asset, so an asset may be kept for good; the
page that names them may not.
"""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response

import collab
from collab.errors import NotFound

NO_CACHE = {"Cache-Control": "no-cache"}
IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable"}

NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Collab</title>
<h1>The editor is not built</h1>
<p>The server runs, and the API answers under <code>/v1</code>. To build the editor, run
<code>make run</code> in the project's folder, or <code>npm ci &amp;&amp; npm run build</code> in
<code>web</code>; then load this page again.</p>
</html>
"""


def built(package: Path = Path(collab.__file__).parent) -> Path:
    """Where the built page lies: inside an installed package, else in the checkout around it."""
    installed = package / "web"
    return installed if installed.is_dir() else package.parent / "web" / "dist"


def pages(folder: Path) -> APIRouter:
    """Routes to a built page. No path of more than one part but `/assets/…` is theirs."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def index() -> Response:
        page = folder / "index.html"
        if not page.is_file():
            return HTMLResponse(NOT_BUILT, 404, NO_CACHE)
        return FileResponse(page, headers=NO_CACHE)

    @router.get("/assets/{name}")
    def asset(name: str) -> Response:
        return _file(folder / "assets" / name, IMMUTABLE)

    @router.get("/{name}")
    def beside_index(name: str) -> Response:
        return _file(folder / name, NO_CACHE)

    return router


def _file(path: Path, headers: dict[str, str]) -> Response:
    """A name in a path has no `/`, so that `path` is a file in its folder or none at all."""
    if not path.is_file():
        raise NotFound("there is nothing at this address")
    return FileResponse(path, headers=headers)
