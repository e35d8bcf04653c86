"""The local API gateway as a server: log, reload, broken clients, start and end, documentation."""

import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from local.gateway.http_api import Gateway
from tests.local.probe_project import Project

pytestmark = pytest.mark.stack


def exchange(gateway: Gateway, data: bytes, *, end: bool = True) -> bytes:
    """Send bytes, and read until the gateway closes the connection."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        connection.sendall(data)
        if end:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def test_log_has_one_line_a_request(client: httpx.Client, project: Project) -> None:
    """A line has time, route, status, duration and request id; never path, query, headers or body."""
    response = client.post("/open/hidden?token=hidden", content=b"hidden", headers={"X-A": "hidden"})
    (line,) = project.lines
    assert re.fullmatch(r"\d\d:\d\d:\d\d POST /open/\{id\} 200 \d+ ms (\S+)", line)
    assert line.endswith(response.headers["apigw-requestid"])


@pytest.mark.parametrize(("method", "status"), [("POST", 404), ("TRACE", 404), ("HIDDEN", 400)])
def test_log_names_nothing_that_has_no_route(
    client: httpx.Client, project: Project, method: str, status: int
) -> None:
    """An unknown route is not logged: its path may be a member's, and its method may be any text."""
    assert client.request(method, "/v1/channels/x/members/hidden").status_code == status
    (line,) = project.lines
    assert re.fullmatch(rf"\d\d:\d\d:\d\d - - {status} \d+ ms (\S+)", line)


def wait_for(check: Callable[[], bool]) -> None:
    """Repeat a check until it holds, for at most ten seconds."""
    deadline = time.monotonic() + 10
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_changed_sources_are_imported_again(client: httpx.Client, project: Project) -> None:
    """The next requests use a saved file; one with a syntax error is 500 until it is corrected."""
    code = "from {0} import part\ndef echo(event, context):\n    return part.VALUE\n"
    project.write("part.py", "VALUE = 'one'\n")
    project.write("plain.py", code.format(project.package))
    assert client.get("/open/1").text == "one"
    for value in ("two", "six"):
        # In the same second and of the same length: bytecode of the previous version would still count as valid.
        project.write("part.py", f"VALUE = '{value}'\n")
        wait_for(lambda expected=value: client.get("/open/1").text == expected)  # type: ignore[misc]  # lambda default
    project.write("part.py", "VALUE = \n")
    wait_for(lambda: client.get("/open/1").status_code == 500)
    assert any(f"invalid syntax in {project.package}/part.py:1" in line for line in project.lines)
    project.write("part.py", "VALUE = 'ten'\n")
    wait_for(lambda: client.get("/open/1").text == "ten")


def test_reload_can_be_off(project: Project) -> None:
    """Without reload, imported modules stay."""
    with project.gateway(reload=False) as running, httpx.Client(base_url=running.url) as client:
        before = client.get("/open/1").status_code
        project.write("plain.py", "raise RuntimeError\n")
        time.sleep(0.6)
        assert before == client.get("/open/1").status_code == 200


def test_reload_leaves_other_projects_alone(client: httpx.Client, project: Project) -> None:
    """A module of a watched name from another folder stays imported."""
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
        b"POST /answer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc",
        b"POST /answer HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /answer HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n" + b"y" * 300_000,
    ],
)
def test_garbage_is_refused(gateway: Gateway, client: httpx.Client, data: bytes) -> None:
    """Anything but HTTP gets a 400 and the connection ends; the server continues."""
    received = exchange(gateway, data)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in received
    assert received.endswith(b'{"message":"Bad Request"}')
    assert client.get("/open/1").status_code == 200


def test_leftovers_are_the_next_request(gateway: Gateway) -> None:
    """A body longer than announced is read as the next request, and refused; pipelined requests are served."""
    post = b"POST /answer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n"
    assert re.findall(rb"HTTP/1.1 (\d+)", exchange(gateway, post + b"abc")) == [b"201", b"400"]
    assert re.findall(rb"HTTP/1.1 (\d+)", exchange(gateway, (post + b"a") * 3)) == [b"201"] * 3


def test_clients_that_leave_do_no_harm(gateway: Gateway, client: httpx.Client, project: Project) -> None:
    """Clients that send nothing, or leave before the response, leave nothing in the log but requests."""
    for data in (b"", b"GET /slow?s=0.2 HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
            connection.sendall(data)
    assert client.get("/slow?s=0.3").status_code in {200, 500}
    assert not any("gateway" in line for line in project.lines)


def test_old_clients_get_an_end(gateway: Gateway) -> None:
    """A request of HTTP/1.0, or with Connection: close, gets its response and the connection ends."""
    for head in (
        b"GET /answer HTTP/1.0\r\n\r\n",
        b"GET /answer HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ):
        assert b"connection: close" in exchange(gateway, head, end=False)


def test_close_lets_answers_out(project: Project) -> None:
    """Closing waits for the response in progress, closes idle connections, and frees the port and the threads."""
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
    """A port in use is reported at once, with the system's error."""
    with pytest.raises(OSError, match="in use"):
        project.gateway(port=gateway.port)


def test_docs_need_no_token_and_no_network(client: httpx.Client, project: Project) -> None:
    """The page, its files and the document are served here; the page refers to no other host."""
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
    """Without docs the paths are unknown, as in a deployment."""
    with project.gateway(docs=False) as running:
        assert httpx.get(f"{running.url}/docs").text == '{"message":"Not Found"}'
