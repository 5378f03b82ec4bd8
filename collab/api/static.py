"""The editor's pages, as `web` was built: `index.html`, what lies beside it, and `assets`.

Vite puts a hash of its content into the name of each asset, so an asset may be kept for good; the
page that names them may not. A page runs no script and shows no style but those that bear its
nonce, which is new in each answer; a script that bears it hands it on to the modules it imports.
"""

import gzip
import secrets
from functools import cache
from mimetypes import guess_type
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

import collab
from collab.api.compression import MIN_BYTES, accepts_gzip, is_compressible
from collab.errors import NotFound

NO_CACHE = {"Cache-Control": "no-cache"}
IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable"}

NONCE = "__CSP_NONCE__"
"""What stands in a built page where its nonce belongs (`html.cspNonce` in Vite's settings)."""

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'nonce-{nonce}'",
        "style-src 'nonce-{nonce}'",
        "connect-src 'self'",  # the WebSocket of the same host too
        "img-src 'self' data:",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)

NO_SNIFFING = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
ALONE = {
    "Referrer-Policy": "no-referrer",  # a document's id is in its address
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), display-capture=(), "
    "payment=(), usb=()",
}

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
    """Routes to what was built. No path of more than one part but `/assets/…` is theirs."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def index() -> Response:
        path = folder / "index.html"
        return _page(path.read_text()) if path.is_file() else _page(NOT_BUILT, 404)

    @router.get("/assets/{name}")
    def asset(name: str, request: Request) -> Response:
        return _file(folder / "assets" / name, request, IMMUTABLE)

    @router.get("/{name}")
    def beside_index(name: str, request: Request) -> Response:
        path = folder / name
        if path.suffix == ".html" and path.is_file():
            return _page(path.read_text())
        return _file(path, request, NO_CACHE)

    return router


def _page(text: str, status: int = 200) -> Response:
    nonce = secrets.token_urlsafe(16)
    policy = {"Content-Security-Policy": POLICY.format(nonce=nonce)}
    headers = {**NO_CACHE, **NO_SNIFFING, **ALONE, **policy}
    return HTMLResponse(text.replace(NONCE, nonce), status, headers)


def _file(path: Path, request: Request, caching: dict[str, str]) -> Response:
    """A name in a path has no `/`, so that `path` is a file in its folder or none at all."""
    if not path.is_file():
        raise NotFound("there is nothing at this address")
    media_type = guess_type(path.name)[0] or "text/plain"
    headers = {**caching, **NO_SNIFFING}
    stat = path.stat()
    if stat.st_size < MIN_BYTES or not is_compressible(media_type):
        return FileResponse(path, headers=headers, media_type=media_type)
    headers["Vary"] = "Accept-Encoding"
    if not accepts_gzip(request.headers):
        return FileResponse(path, headers=headers, media_type=media_type)
    headers["Content-Encoding"] = "gzip"
    return Response(_compressed(path, stat.st_mtime_ns), headers=headers, media_type=media_type)


@cache
def _compressed(path: Path, _modified_ns: int) -> bytes:
    """Once for each state of a file; there are no more of them than were built."""
    return gzip.compress(path.read_bytes(), mtime=0)
