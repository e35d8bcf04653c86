"""The local API gateway over HTTP, before tiny handlers of its own."""

import base64
import itertools
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.gateway import Gateway
from local.template import load
from local.tokens import AUDIENCE, ISSUER, KeyPair, Verifier

pytestmark = pytest.mark.stack

TEMPLATE = """
Globals:
  HttpApi: {CorsConfiguration: {AllowOrigins: ["https://app.example"], AllowMethods: [GET], ExposeHeaders: [ETag]}}
  Function: {Timeout: 5, MemorySize: 256}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Jwt
        Authorizers: {Jwt: {JwtConfiguration: {issuer: "https://budgie.local", audience: [budgie]}}}
"""

FUNCTION = """
  %(name)s:
    Type: AWS::Serverless::Function
    Properties:
      Handler: %(package)s.%(module)s.%(function)s
      Timeout: %(timeout)s
      Events: {Call: {Type: HttpApi, Properties: {Method: %(method)s, Path: "%(path)s", Auth: %(auth)s}}}
"""

PLAIN = """
import threading
import time

barrier = threading.Barrier(8, timeout=5)


def echo(event, context):
    return {"event": event, "context": {
        "function_name": context.function_name,
        "memory_limit_in_mb": context.memory_limit_in_mb,
        "invoked_function_arn": context.invoked_function_arn,
        "aws_request_id": context.aws_request_id,
        "remaining": context.get_remaining_time_in_millis(),
    }}


def answer(event, context):
    return {
        "statusCode": 201,
        "headers": {"ETag": "x", "Access-Control-Allow-Origin": "*"},
        "cookies": ["a=1", "b=2"],
        "body": "AP8=",
        "isBase64Encoded": True,
    }


def crash(event, context):
    raise KeyError("secret text " + event["body"])


def leave(event, context):
    raise SystemExit(3)


def slow(event, context):
    time.sleep(float(event["queryStringParameters"]["s"]))
    return "done"


def wait(event, context):
    return barrier.wait() >= 0


def no_json(event, context):
    return {"statusCode": 200, "body": b"bytes"}


def large(event, context):
    return {"statusCode": 200, "body": "x" * int(event["queryStringParameters"]["n"])}


not_a_function = 3
"""

ASGI = """
import asyncio
import threading

from fastapi import FastAPI, Request
from mangum import Mangum

app = FastAPI()


@app.post("/asgi/{name}")
async def post(name: str, request: Request):
    await asyncio.sleep(0.01)
    return {"name": name, "body": (await request.body()).decode(), "query": str(request.query_params)}


@app.get("/asgi/{name}")
def get(name: str):
    return {"name": name, "cookie": threading.current_thread().name}


handler = Mangum(app, lifespan="off")
"""

ROUTES: list[dict[str, Any]] = [
    {"function": "echo", "method": "ANY", "path": "/open/{id}", "auth": "{Authorizer: NONE}"},
    {"function": "echo", "method": "GET", "path": "/closed", "auth": "{}"},
    *(
        {"function": name, "method": "ANY", "path": f"/{name}", "auth": "{Authorizer: NONE}"}
        for name in ("answer", "crash", "leave", "wait", "no_json", "large", "not_a_function", "missing")
    ),
    {"function": "slow", "method": "GET", "path": "/slow", "auth": "{Authorizer: NONE}", "timeout": 0.3},
    {"function": "slow", "method": "GET", "path": "/slower", "auth": "{Authorizer: NONE}", "timeout": 60},
    {
        "function": "handler",
        "method": "ANY",
        "path": "/asgi/{name}",
        "module": "asgi",
        "auth": "{Authorizer: NONE}",
    },
]

KEYS = KeyPair.create()
_numbers = itertools.count()


class Project:
    """A folder with a template and handlers, in a package that no other test has."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.package = f"probe_functions_{next(_numbers)}"
        self.lines: list[str] = []
        self.write("plain.py", PLAIN)
        self.write("asgi.py", ASGI)
        functions = "".join(
            FUNCTION % {"name": f"F{i}", "package": self.package, "module": "plain", "timeout": 5, **fields}
            for i, fields in enumerate(ROUTES)
        )
        (root / "template.yaml").write_text(TEMPLATE + functions)

    def write(self, name: str, text: str) -> None:
        """Write a module of the package."""
        path = self.root / self.package / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def gateway(self, **options: Any) -> Gateway:
        """A gateway before these handlers."""
        verifier = Verifier(KEYS.public_key, ISSUER, AUDIENCE)
        template = load(self.root / "template.yaml")
        return Gateway(template=template, root=self.root, verifier=verifier, log=self.lines.append, **options)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project whose modules are gone again after the test."""
    made = Project(tmp_path)
    yield made
    for name in [name for name in sys.modules if name.split(".")[0] == made.package]:
        del sys.modules[name]


@pytest.fixture
def gateway(project: Project) -> Iterator[Gateway]:
    """A running gateway that waits one second for a function."""
    with project.gateway(integration_timeout=1.0) as running:
        yield running


@pytest.fixture
def client(gateway: Gateway) -> Iterator[httpx.Client]:
    """A client of the gateway."""
    with httpx.Client(base_url=gateway.url, timeout=20) as opened:
        yield opened


def exchange(gateway: Gateway, data: bytes, *, end: bool = True) -> bytes:
    """Send bytes, and read until the gateway ends the connection."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        connection.sendall(data)
        if end:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def test_function_gets_event_and_context(client: httpx.Client) -> None:
    """A handler is called with the event of its request and a context of its function."""
    answer = client.post(
        "/open/a%20b?x=1&x=2", json={"k": "ü"}, headers=[("X-A", "1"), ("X-A", "2"), ("Cookie", "c=1; d=2")]
    )
    assert answer.status_code == 200
    event, context = answer.json()["event"], answer.json()["context"]
    assert (event["routeKey"], event["rawPath"], event["pathParameters"]) == (
        "ANY /open/{id}",
        "/open/a b",
        {"id": "a b"},
    )
    assert (event["queryStringParameters"], event["cookies"]) == ({"x": "1,2"}, ["c=1", "d=2"])
    assert (event["headers"]["x-a"], json.loads(event["body"])) == ("1,2", {"k": "ü"})
    assert event["requestContext"]["requestId"] == answer.headers["apigw-requestid"]
    assert "authorizer" not in event["requestContext"]
    assert (context["function_name"], context["memory_limit_in_mb"]) == ("F0", "256")
    assert context["invoked_function_arn"].endswith(":function:F0")
    assert 3_000 < context["remaining"] <= 5_000


def test_token_opens_a_route(client: httpx.Client) -> None:
    """A valid token, alone or behind Bearer, reaches the function as claims of text."""
    token = KEYS.issue("ada", groups=["a", "b"])
    for value in (f"Bearer {token}", f"bearer {token}", token):
        answer = client.get("/closed", headers={"Authorization": value})
        jwt = answer.json()["event"]["requestContext"]["authorizer"]["jwt"]
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
    """Without a valid token the gateway answers 401 and says why, as API Gateway does."""
    answer = client.get("/closed", headers={**headers, "Origin": "https://app.example"})
    assert (answer.status_code, answer.text) == (401, '{"message":"Unauthorized"}')
    assert re.fullmatch(challenge, answer.headers["www-authenticate"])
    assert answer.headers["access-control-allow-origin"] == "https://app.example"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/closed/"), ("POST", "/closed"), ("HEAD", "/closed")]
)
def test_unknown_routes_are_not_found(client: httpx.Client, method: str, path: str) -> None:
    """What has no route is 404, also another method, and before anyone asks for a token."""
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert answer.text == ("" if method == "HEAD" else '{"message":"Not Found"}')


def test_answer_is_the_functions_own(client: httpx.Client) -> None:
    """Status, headers, cookies and a decoded body come through; CORS headers only from the configuration."""
    answer = client.get("/answer", headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (201, b"\x00\xff", "x")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert "access-control-allow-origin" not in answer.headers
    allowed = client.get("/answer", headers={"Origin": "https://app.example"})
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    assert allowed.headers["access-control-expose-headers"] == "ETag"
    head = client.head("/answer")
    assert (head.status_code, head.content, head.headers["content-length"]) == (201, b"", "2")


def test_preflight_is_answered_by_the_gateway(client: httpx.Client) -> None:
    """OPTIONS is 204 on every path without an OPTIONS route, with CORS headers for an allowed origin only."""
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    for path in ("/closed", "/unknown"):
        answer = client.options(path, headers=headers)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["access-control-allow-methods"] == "GET"
        bare = client.options(path)
        assert (bare.status_code, "access-control-allow-origin" in bare.headers) == (204, False)


@pytest.mark.parametrize("path", ["/crash", "/leave", "/no_json", "/not_a_function", "/missing"])
def test_failing_functions_are_500(client: httpx.Client, project: Project, path: str) -> None:
    """A handler that raises, exits, is missing or returns no JSON is 500; the log says where, and quotes nothing."""
    answer = client.post(path, content=b"token", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.text) == (500, '{"message":"Internal Server Error"}')
    assert client.get("/open/1").status_code == 200
    assert not any("secret" in line or "token" in line for line in project.lines)
    if path == "/crash":
        assert re.fullmatch(
            r"F\d+ raised KeyError at probe_functions_\d+/plain.py:\d+ in crash", project.lines[0]
        )


def test_late_functions_are_given_up(client: httpx.Client, project: Project) -> None:
    """A function's own timeout is 500, the API's is 503, and neither keeps later requests waiting."""
    own, api = client.get("/slow?s=0.8"), client.get("/slower?s=1.5")
    assert (own.status_code, own.text) == (500, '{"message":"Internal Server Error"}')
    assert (api.status_code, api.text) == (503, '{"message":"Service Unavailable"}')
    assert client.get("/slow?s=0").text == "done"
    assert [line for line in project.lines if "timed out" in line or "did not answer" in line] == [
        "F10 timed out after 0.3 s",
        "F11 did not answer within the API's 1 s",
    ]


def test_payload_limits(client: httpx.Client) -> None:
    """More than 10 MB, or than the 6 MB that Lambda takes, is 413; a result of more than 6 MB is 500."""
    text = {"Content-Type": "text/plain"}
    for size in (10 * 1024 * 1024 + 1, 7 * 1024 * 1024):
        answer = client.post("/answer", content=b"x" * size, headers=text)
        assert (answer.status_code, answer.text) == (413, '{"message":"Request Entity Too Large"}')
    assert client.post("/answer", content=b"x" * (6 * 1024 * 1024 - 5_000), headers=text).status_code == 201
    assert client.get("/large?n=6000000").status_code == 200
    assert client.get("/large?n=6291556").status_code == 500


def test_large_heads_are_refused(client: httpx.Client) -> None:
    """More than 10,240 bytes of request line and headers are 431."""
    answer = client.get("/open/1", headers={"X-A": "x" * 10_241})
    assert (answer.status_code, answer.text) == (431, '{"message":"Request Header Fields Too Large"}')


def test_requests_run_at_the_same_time(gateway: Gateway) -> None:
    """Eight requests that wait for each other all return, again and again, on connections that are kept."""
    with httpx.Client(base_url=gateway.url, timeout=20) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.get("/wait"), range(32)))
    assert [answer.text for answer in answers] == ["true"] * 32


def test_asgi_apps_run_under_mangum(client: httpx.Client) -> None:
    """FastAPI's async and sync endpoints under Mangum work in many threads, without an event loop to spare."""
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda i: client.post(f"/asgi/{i}?q={i}", content=b"x%d" % i), range(12)))
        gets = list(pool.map(lambda i: client.get(f"/asgi/{i}").json()["name"], range(12)))
    assert [answer.json() for answer in answers] == [
        {"name": str(i), "body": f"x{i}", "query": f"q={i}"} for i in range(12)
    ]
    assert gets == [str(i) for i in range(12)]
    assert client.put("/asgi/1").status_code == 405


def test_log_has_one_line_a_request(client: httpx.Client, project: Project) -> None:
    """A line says time, method, path, status, duration and request id; never query, headers or body."""
    answer = client.post("/open/1?token=hidden", content=b"hidden", headers={"X-A": "hidden"})
    (line,) = project.lines
    assert re.fullmatch(r"\d\d:\d\d:\d\d POST /open/1 200 \d+ ms (\S+)", line)
    assert line.endswith(answer.headers["apigw-requestid"])


def wait_for(check: Callable[[], bool]) -> None:
    """Ask again until it holds, ten seconds long."""
    deadline = time.monotonic() + 10
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_changed_sources_are_imported_again(client: httpx.Client, project: Project) -> None:
    """A save is served by the next requests; one that does not parse is 500 until it is mended."""
    code = "from {0} import part\ndef echo(event, context):\n    return part.VALUE\n"
    project.write("part.py", "VALUE = 'one'\n")
    project.write("plain.py", code.format(project.package))
    assert client.get("/open/1").text == "one"
    for value in ("two", "six"):
        # In one second and of one length: bytecode of the last version would still count as valid.
        project.write("part.py", f"VALUE = '{value}'\n")
        wait_for(lambda expected=value: client.get("/open/1").text == expected)  # type: ignore[misc]  # lambda default
    project.write("part.py", "VALUE = \n")
    wait_for(lambda: client.get("/open/1").status_code == 500)
    assert any(f"invalid syntax in {project.package}/part.py:1" in line for line in project.lines)
    project.write("part.py", "VALUE = 'ten'\n")
    wait_for(lambda: client.get("/open/1").text == "ten")


def test_reload_can_be_off(project: Project) -> None:
    """Without reload what is imported stays."""
    with project.gateway(reload=False) as running, httpx.Client(base_url=running.url) as client:
        before = client.get("/open/1").status_code
        project.write("plain.py", "raise RuntimeError\n")
        time.sleep(0.6)
        assert before == client.get("/open/1").status_code == 200


def test_reload_leaves_other_projects_alone(client: httpx.Client, project: Project) -> None:
    """A module of a watched name that comes from another folder stays imported."""
    import shared

    (project.root / "shared").mkdir()
    client.get("/open/1")
    (project.root / "shared" / "new.py").write_text("")
    wait_for(
        lambda: bool(client.get("/open/1")) and any("reload: shared/new.py" in line for line in project.lines)
    )
    assert sys.modules["shared"] is shared


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /answer HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
        b"POST /answer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /answer HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n" + b"y" * 300_000,
    ],
)
def test_garbage_is_refused(gateway: Gateway, client: httpx.Client, data: bytes) -> None:
    """What is no HTTP gets a 400 and an end, and the server goes on."""
    received = exchange(gateway, data)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in received
    assert received.endswith(b'{"message":"Bad Request"}')
    assert client.get("/open/1").status_code == 200


def test_leftovers_are_the_next_request(gateway: Gateway) -> None:
    """A body longer than announced is taken for a next request, and refused; pipelined ones are answered."""
    post = b"POST /answer HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"
    assert re.findall(rb"HTTP/1.1 (\d+)", exchange(gateway, post + b"abc")) == [b"201", b"400"]
    assert re.findall(rb"HTTP/1.1 (\d+)", exchange(gateway, (post + b"a") * 3)) == [b"201"] * 3


def test_clients_that_leave_do_no_harm(gateway: Gateway, client: httpx.Client, project: Project) -> None:
    """Clients that connect and say nothing, or go before the answer, leave nothing in the log but requests."""
    for data in (b"", b"GET /slow?s=0.2 HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
            connection.sendall(data)
    assert client.get("/slow?s=0.3").status_code in {200, 500}
    assert not any("gateway" in line for line in project.lines)


def test_old_clients_get_an_end(gateway: Gateway) -> None:
    """A request of HTTP/1.0, or with Connection: close, is answered and the connection ended."""
    for head in (
        b"GET /answer HTTP/1.0\r\n\r\n",
        b"GET /answer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ):
        assert b"connection: close" in exchange(gateway, head, end=False)


def test_close_lets_answers_out(project: Project) -> None:
    """Closing waits for the answer under way, ends idle connections, and frees the port and the threads."""
    before = threading.active_count()
    running = project.gateway()
    running.start()
    with httpx.Client(base_url=running.url) as client, ThreadPoolExecutor(1) as pool:
        client.get("/open/1")
        late = pool.submit(lambda: client.get("/slower?s=0.5").text)
        wait_for(lambda: threading.active_count() > before + 3)
        time.sleep(0.1)
        running.close()
        assert late.result() == "done"
    running = project.gateway(port=running.port)
    running.close()
    wait_for(lambda: threading.active_count() <= before)
    assert str(project.root.resolve()) not in sys.path


def test_taken_port_is_an_error(gateway: Gateway, project: Project) -> None:
    """A port that is taken is told at once, as the system says it."""
    with pytest.raises(OSError, match="in use"):
        project.gateway(port=gateway.port)


def test_docs_need_no_token_and_no_network(client: httpx.Client, project: Project) -> None:
    """The page, its files and the document are served here; the page names no other host."""
    missing = client.get("/docs")
    assert (missing.status_code, "make openapi" in missing.text) == (404, True)
    assert client.get("/openapi.json").status_code == 404
    (project.root / "openapi.json").write_text('{"openapi": "3.1.0"}')
    assert client.get("/openapi.json").json() == {"openapi": "3.1.0"}
    page = client.get("/docs")
    assert (page.status_code, "://" in page.text) == (200, False)
    for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert len(client.get(path).content) > 500
    for path in ("/docs/assets/../../template.yaml", "/docs/assets/x", "/docs/assets/", "/docs/x"):
        assert client.get(path).status_code == 404
    assert client.post("/docs").status_code == 404


def test_docs_can_be_off(project: Project) -> None:
    """Without docs the paths are unknown, as they are when deployed."""
    with project.gateway(docs=False) as running:
        assert httpx.get(f"{running.url}/docs").text == '{"message":"Not Found"}'


def test_binary_bodies_arrive_whole(client: httpx.Client) -> None:
    """Bytes that are no text reach the function in base64, chunked or not."""
    data = bytes(range(256))
    for content in (data, iter([data[:100], data[100:]])):
        event = client.post("/open/1", content=content).json()["event"]
        assert (event["isBase64Encoded"], base64.b64decode(event["body"])) == (True, data)
        assert event["headers"]["content-length"] == "256"
