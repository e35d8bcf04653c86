"""CORS as an HTTP API implements it: from its configuration alone; the functions' own headers do not count."""

from local.gateway.wire import Request
from local.template.load import Cors

Headers = tuple[tuple[str, str], ...]

PREFIX = "access-control-"


def is_preflight(request: Request) -> bool:
    """Whether the request is a browser's preflight."""
    return request.method == "OPTIONS" and request.header("access-control-request-method") is not None


def preflight_headers(cors: Cors, request: Request) -> Headers:
    """Headers of a preflight's response; none for an origin or a method that is not allowed.

    AWS does not document its response to a method that is not allowed; a browser refuses either way.
    """
    method = (request.header("access-control-request-method") or "").upper()
    if not {method, "*"} & set(cors.allow_methods):
        return ()
    origin = _allowed_origin(cors, request)
    if not origin:
        return ()
    lists = (("allow-methods", cors.allow_methods), ("allow-headers", cors.allow_headers))
    named = tuple((PREFIX + name, ",".join(values)) for name, values in lists if values)
    age = () if cors.max_age is None else ((PREFIX + "max-age", str(cors.max_age)),)
    return (*origin, *named, *age)


def answer_headers(cors: Cors, request: Request) -> Headers:
    """Headers that are added to the response of an actual request, including the gateway's own errors."""
    origin = _allowed_origin(cors, request)
    if not origin or not cors.expose_headers:
        return origin
    return (*origin, (PREFIX + "expose-headers", ",".join(cors.expose_headers)))


def _allowed_origin(cors: Cors, request: Request) -> Headers:
    origin = request.header("origin")
    if origin is None:
        return ()
    if "*" in cors.allow_origins:
        allowed = "*"
    elif any(_matches(pattern, origin) for pattern in cors.allow_origins):
        allowed = origin
    else:
        return ()
    credentials = ((PREFIX + "allow-credentials", "true"),) if cors.allow_credentials else ()
    return ((PREFIX + "allow-origin", allowed), *credentials)


def _matches(pattern: str, origin: str) -> bool:
    """Matches an origin, or with `https://*` every origin of a scheme."""
    return origin.startswith(pattern[:-1]) if pattern.endswith("://*") else origin == pattern
