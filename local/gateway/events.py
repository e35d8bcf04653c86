"""Converts a request to the event that API Gateway sends to a function: HTTP API, payload format 2.0."""

import base64
import json
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from local.gateway.wire import Request
from local.template.load import Route

ACCOUNT_ID: Final = "123456789012"
API_ID: Final = "local"

_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

# The documentation says "binary" without a definition. AWS was seen to pass these as text and everything
# else in base64, including bodies without a content type and HTML forms.
_TEXT_TYPES: Final = frozenset({"application/json", "application/xml", "application/javascript"})


def new_request_id() -> str:
    """An id that looks like API Gateway's: `JKJaXmPLvHcESHA=`."""
    return base64.b64encode(secrets.token_bytes(11), altchars=b"-_").decode()


def build(
    request: Request,
    route: Route,
    parameters: Mapping[str, str],
    *,
    request_id: str,
    claims: Mapping[str, Any] | None = None,
    port: int = 80,
) -> dict[str, Any]:
    """The event for a request.

    Args:
        request: what the client sent.
        route: the matching route.
        parameters: the route's path parameters, decoded.
        request_id: identifies this request in responses and logs.
        claims: the token's claims; None on a route without an authorizer.
        port: the port that the client called.
    """
    path = raw_path(request.path)
    query = query_parameters(request.query)
    cookies = _cookies(request)
    body, encoded = _body(request)
    # As on AWS, empty keys are left out.
    optional = {
        "cookies": cookies,
        "queryStringParameters": query,
        "pathParameters": dict(parameters),
        "body": body,
    }
    return {
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": _headers(request, port),
        **{name: value for name, value in optional.items() if value},
        "requestContext": _context(request, route, path, request_id, claims),
        "isBase64Encoded": encoded,
    }


def raw_path(path: str) -> str:
    """`rawPath`: decoded despite its name, and cut at an encoded `?`, as AWS was seen to do.

    So a `%2F` or a `%3F` in a path parameter is intact only in `pathParameters`.
    """
    return unquote(path).partition("?")[0]


def query_parameters(query: str) -> dict[str, str]:
    """The decoded parameters; repeated ones are joined by commas in their order."""
    return _joined(parse_qsl(query, keep_blank_values=True))


def claim_text(value: object) -> str:
    """A claim as API Gateway passes it: always text, such as `3`, `true`, `[a b]`; objects as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{' '.join(map(claim_text, value))}]"
    return json.dumps(value, separators=(",", ":"))


def _context(
    request: Request, route: Route, path: str, request_id: str, claims: Mapping[str, Any] | None
) -> dict[str, Any]:
    # On AWS this is the API's own name; here it is the name that the client called.
    domain = (request.header("host") or "localhost").rsplit(":", 1)[0]
    now = time.time()
    return {
        "accountId": ACCOUNT_ID,
        "apiId": API_ID,
        **({} if claims is None else {"authorizer": {"jwt": _jwt(claims)}}),
        "domainName": domain,
        "domainPrefix": domain.split(".", 1)[0],
        "http": {
            "method": request.method,
            "path": path,
            "protocol": f"HTTP/{request.version}",
            "sourceIp": request.source_ip,
            "userAgent": request.header("user-agent") or "",
        },
        "requestId": request_id,
        "routeKey": route.key,
        "stage": "$default",
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "timeEpoch": int(now * 1000),
    }


def _jwt(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Scopes are null on routes that require none, and ours require none; null claims are left out."""
    return {
        "claims": {name: claim_text(value) for name, value in claims.items() if value is not None},
        "scopes": None,
    }


def _headers(request: Request, port: int) -> dict[str, str]:
    """Names in lower case, duplicates joined by commas; cookies are separate."""
    sent = [(name, value) for name, value in request.headers if name not in _HOP_BY_HOP and name != "cookie"]
    headers = _joined(sent)
    hops = [headers["x-forwarded-for"]] if "x-forwarded-for" in headers else []
    headers |= {
        "content-length": str(len(request.body)),
        "x-forwarded-for": ", ".join([*hops, request.source_ip]),
        "x-forwarded-port": str(port),
        # AWS says https; a link built from it must work here.
        "x-forwarded-proto": "http",
    }
    trace = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    headers.setdefault("x-amzn-trace-id", trace)
    return headers


def _cookies(request: Request) -> list[str]:
    sent = (value for name, value in request.headers if name == "cookie")
    return [cookie.strip() for value in sent for cookie in value.split(";") if cookie.strip()]


def _body(request: Request) -> tuple[str, bool]:
    """The body as text or in base64, and whether it is base64."""
    kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if not request.body:
        return "", False
    if kind.startswith("text/") or kind in _TEXT_TYPES:
        try:
            return request.body.decode("utf-8"), False
        except UnicodeDecodeError:
            pass  # Not valid text. AWS's behaviour is not documented; base64 loses nothing.
    return base64.b64encode(request.body).decode(), True


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined
