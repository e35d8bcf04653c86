"""The local API gateway over HTTP: the functions' events, and the responses made from their results."""

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from local.gateway.http_api import Gateway
from tests.local.probe_project import KEYS, Project

pytestmark = pytest.mark.stack


def test_function_gets_event_and_context(client: httpx.Client) -> None:
    """A handler is called with the event of its request and a context of its function."""
    response = client.post(
        "/open/a%20b?x=1&x=2", json={"k": "ü"}, headers=[("X-A", "1"), ("X-A", "2"), ("Cookie", "c=1; d=2")]
    )
    assert response.status_code == 200
    event, context = response.json()["event"], response.json()["context"]
    assert (event["routeKey"], event["rawPath"], event["pathParameters"]) == (
        "ANY /open/{id}",
        "/open/a b",
        {"id": "a b"},
    )
    assert (event["queryStringParameters"], event["cookies"]) == ({"x": "1,2"}, ["c=1", "d=2"])
    assert (event["headers"]["x-a"], json.loads(event["body"])) == ("1,2", {"k": "ü"})
    assert event["requestContext"]["requestId"] == response.headers["apigw-requestid"]
    assert "authorizer" not in event["requestContext"]
    assert (context["function_name"], context["memory_limit_in_mb"]) == ("F0", "256")
    assert context["invoked_function_arn"].endswith(":function:F0")
    assert 3_000 < context["remaining"] <= 5_000


def test_token_opens_a_route(client: httpx.Client) -> None:
    """A valid token, alone or behind Bearer, reaches the function as claims of text."""
    token = KEYS.issue("ada", groups=["a", "b"])
    for value in (f"Bearer {token}", f"bearer {token}", token):
        response = client.get("/closed", headers={"Authorization": value})
        jwt = response.json()["event"]["requestContext"]["authorizer"]["jwt"]
        assert (jwt["claims"]["sub"], jwt["claims"]["groups"], jwt["scopes"]) == ("ada", "[a b]", None)
        assert jwt["claims"]["exp"].isdecimal()


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, r"Bearer"),
        ({"Authorization": ""}, r"Bearer"),
        ({"Authorization": "Bearer"}, r"Bearer"),
        (
            {"Authorization": "Bearer x"},
            r'Bearer scope="" error="invalid_token" error_description=".+ segments"',
        ),
        (
            {"Authorization": f"Bearer {KEYS.issue('ada', expires_in=-9)}"},
            r'.+description="the token has expired"',
        ),
        (
            {"Authorization": f"Bearer {KEYS.issue('ada', audience='x')}"},
            r'.+"the token does not have a valid audience"',
        ),
        ({"Authorization": f"Basic {KEYS.issue('ada')}"}, r".+invalid_token.+"),
    ],
)
def test_other_callers_are_unauthorized(
    client: httpx.Client, headers: dict[str, str], challenge: str
) -> None:
    """Without a valid token the gateway responds with 401 and the reason, as API Gateway does."""
    response = client.get("/closed", headers={**headers, "Origin": "https://app.example"})
    assert (response.status_code, response.text) == (401, '{"message":"Unauthorized"}')
    assert re.fullmatch(challenge, response.headers["www-authenticate"])
    assert response.headers["access-control-allow-origin"] == "https://app.example"


def test_a_doubled_token_opens_nothing(client: httpx.Client) -> None:
    """Two `Authorization` headers are joined by a comma, like all repeated headers, and neither is accepted."""
    token = f"Bearer {KEYS.issue('ada')}"
    response = client.get("/closed", headers=[("Authorization", token), ("Authorization", token)])
    assert response.status_code == 401


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/closed/"), ("POST", "/closed"), ("HEAD", "/closed")]
)
def test_unknown_routes_are_not_found(client: httpx.Client, method: str, path: str) -> None:
    """Unknown paths and methods are 404, before any token is checked."""
    response = client.request(method, path)
    assert (response.status_code, response.headers["content-type"]) == (404, "application/json")
    assert response.text == ("" if method == "HEAD" else '{"message":"Not Found"}')


def test_answer_is_the_functions_own(client: httpx.Client) -> None:
    """Status, headers, cookies and a decoded body are passed on; CORS headers only from the configuration."""
    response = client.get("/answer", headers={"Origin": "http://localhost:5173"})
    assert (response.status_code, response.content, response.headers["etag"]) == (201, b"\x00\xff", "x")
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert "access-control-allow-origin" not in response.headers
    allowed = client.get("/answer", headers={"Origin": "https://app.example"})
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    assert allowed.headers["access-control-expose-headers"] == "ETag"
    head = client.head("/answer")
    assert (head.status_code, head.content, head.headers["content-length"]) == (201, b"", "2")


@pytest.mark.parametrize("path", ["/answer", "/closed", "/unknown", "/docs"])
@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
def test_a_web_page_from_elsewhere_is_refused(
    client: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    """A foreign origin, or a foreign host, is 403 on every path, without a CORS header."""
    for method in ("GET", "OPTIONS"):
        response = client.request(method, path, headers=headers | {"Access-Control-Request-Method": "GET"})
        assert response.status_code == 403
        assert not any(name.startswith("access-control") for name in response.headers)


def test_preflight_is_answered_by_the_gateway(client: httpx.Client) -> None:
    """OPTIONS is 204 on every path without an OPTIONS route, with CORS headers for an allowed origin only."""
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    for path in ("/closed", "/unknown"):
        response = client.options(path, headers=headers)
        assert (response.status_code, response.content) == (204, b"")
        assert response.headers["access-control-allow-methods"] == "GET"
        bare = client.options(path)
        assert (bare.status_code, "access-control-allow-origin" in bare.headers) == (204, False)


@pytest.mark.parametrize("path", ["/crash", "/leave", "/no_json", "/not_a_function", "/missing"])
def test_failing_functions_are_500(client: httpx.Client, project: Project, path: str) -> None:
    """A handler that raises, exits, is missing or returns no JSON is 500; the log says where, and quotes nothing."""
    response = client.post(path, content=b"token", headers={"Content-Type": "text/plain"})
    assert (response.status_code, response.text) == (500, '{"message":"Internal Server Error"}')
    assert client.get("/open/1").status_code == 200
    assert not any("secret" in line or "token" in line for line in project.lines)
    if path == "/crash":
        assert re.fullmatch(
            r"F\d+ raised KeyError at probe_functions_\d+/plain.py:\d+ in crash", project.lines[0]
        )


def test_late_functions_are_given_up(client: httpx.Client, project: Project) -> None:
    """A function's own timeout is 500, the API's is 503, and neither delays later requests."""
    own, api = client.get("/slow?s=0.8"), client.get("/slower?s=1.5")
    assert (own.status_code, own.text) == (500, '{"message":"Internal Server Error"}')
    assert (api.status_code, api.text) == (503, '{"message":"Service Unavailable"}')
    assert client.get("/slow?s=0").text == "done"
    assert [line for line in project.lines if "timed out" in line or "did not respond" in line] == [
        "F10 timed out after 0.3 s",
        "F11 did not respond within the API's 1 s",
    ]


def test_payload_limits(client: httpx.Client) -> None:
    """More than 10 MB, or than the 6 MB that Lambda accepts, is 413; a result of more than 6 MB is 500."""
    text = {"Content-Type": "text/plain"}
    for size in (10 * 1024 * 1024 + 1, 7 * 1024 * 1024):
        response = client.post("/answer", content=b"x" * size, headers=text)
        assert (response.status_code, response.text) == (413, '{"message":"Request Entity Too Large"}')
    assert client.post("/answer", content=b"x" * (6 * 1024 * 1024 - 5_000), headers=text).status_code == 201
    assert client.get("/large?n=6000000").status_code == 200
    assert client.get("/large?n=6291556").status_code == 500


def test_large_heads_are_refused(client: httpx.Client) -> None:
    """More than 10,240 bytes of request line and headers are 431."""
    response = client.get("/open/1", headers={"X-A": "x" * 10_241})
    assert (response.status_code, response.text) == (431, '{"message":"Request Header Fields Too Large"}')


def test_requests_run_at_the_same_time(gateway: Gateway) -> None:
    """Eight requests that wait for each other all return, repeatedly, on persistent connections."""
    with httpx.Client(base_url=gateway.url, timeout=20) as client, ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda _: client.get("/wait"), range(32)))
    assert [response.text for response in responses] == ["true"] * 32


def test_asgi_apps_run_under_mangum(client: httpx.Client) -> None:
    """FastAPI's async and sync endpoints under Mangum work in many threads, without leftover event loops."""
    with ThreadPoolExecutor(4) as pool:
        responses = list(pool.map(lambda i: client.post(f"/asgi/{i}?q={i}", content=b"x%d" % i), range(12)))
        gets = list(pool.map(lambda i: client.get(f"/asgi/{i}").json()["name"], range(12)))
    assert [response.json() for response in responses] == [
        {"name": str(i), "body": f"x{i}", "query": f"q={i}"} for i in range(12)
    ]
    assert gets == [str(i) for i in range(12)]
    assert client.put("/asgi/1").status_code == 405


def test_binary_bodies_arrive_whole(client: httpx.Client) -> None:
    """Bytes that are not text reach the function in base64, chunked or not."""
    data = bytes(range(256))
    for content in (data, iter([data[:100], data[100:]])):
        event = client.post("/open/1", content=content).json()["event"]
        assert (event["isBase64Encoded"], base64.b64decode(event["body"])) == (True, data)
        assert event["headers"]["content-length"] == "256"
