"""The API's documentation on the local stack: `/docs` shows `openapi.json` with Swagger UI, without a network."""

import html
import importlib.util
from http import HTTPStatus
from pathlib import Path
from typing import Final

from local.gateway.wire import Response

PATH: Final = "/docs"
DOCUMENT_PATH: Final = "/openapi.json"
DOCUMENT_FILE: Final = "openapi.json"

_ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon.png": "image/png",
}
_MISSING: Final = "There is no openapi.json yet. `make openapi` writes it."

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Budgie API</title>
<link rel="icon" href="/docs/assets/favicon.png">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  // Whoever pastes "Bearer" along with the token means the token.
  requestInterceptor: (request) => {
    const given = request.headers.Authorization;
    if (given) request.headers.Authorization = given.replace(/^(Bearer\\s+)+/i, "Bearer ");
    return request;
  },
});
</script>
</body>
</html>
"""


class Docs:
    """Serves the documentation's own paths, which a deployed API does not have. They need no token.

    Args:
        root: the folder of `openapi.json`, which is read for each request, so that changes show at once.
    """

    def __init__(self, root: Path) -> None:
        self._document = root / DOCUMENT_FILE

    def respond(self, method: str, path: str) -> Response | None:
        """The page, the document or one of the page's files; None for all other paths."""
        if method not in {"GET", "HEAD"}:
            return None
        if path == DOCUMENT_PATH:
            return self._serve_document()
        if path.rstrip("/") == PATH:
            return self._serve_page()
        if path.startswith(f"{PATH}/assets/"):
            return _serve_asset(path.removeprefix(f"{PATH}/assets/"))
        return None

    def _serve_document(self) -> Response:
        try:
            document = self._document.read_bytes()
        except FileNotFoundError:
            return Response.message(HTTPStatus.NOT_FOUND, _MISSING)
        return Response(
            HTTPStatus.OK, (("content-type", "application/json"), ("cache-control", "no-cache")), document
        )

    def _serve_page(self) -> Response:
        headers = (("content-type", "text/html; charset=utf-8"), ("cache-control", "no-cache"))
        if not self._document.exists():
            page = f"<!doctype html><title>Budgie API</title><p>{html.escape(_MISSING)}</p>\n"
            return Response(HTTPStatus.NOT_FOUND, headers, page.encode())
        return Response(HTTPStatus.OK, headers, _PAGE.encode())


def _serve_asset(name: str) -> Response:
    kind, folder = _ASSETS.get(name), _assets_folder()
    if kind is None or folder is None:
        return Response.message(HTTPStatus.NOT_FOUND)
    headers = (("content-type", kind), ("cache-control", "max-age=86400"))
    return Response(HTTPStatus.OK, headers, (folder / name).read_bytes())


def _assets_folder() -> Path | None:
    """Swagger UI's files from the package fastapi-offline, which is not imported."""
    found = importlib.util.find_spec("fastapi_offline")
    if found is None or not found.submodule_search_locations:
        return None
    return Path(found.submodule_search_locations[0]) / "static"
