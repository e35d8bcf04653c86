"""What a run of the whole stack leaves in its logs: nothing of what was said, and no secret."""

from __future__ import annotations

import json
import socket
import time
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

from tests.e2e.running import FAST, RunningStack, running_stack
from tests.security.leaks import in_text
from tests.security.tenants import Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.stack

SECRETS: Final = frozenset({"upstash-token", "token-key.pem"})
"""Files of the local stack that hold one; the engines' data are no logs."""
SPEAKER: Final = "mary"
"""Not ada, whose token the stack's greeting shows to whoever started it."""
CACHE_SECRET: Final = "QSECRETQ" * 4


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack whose cached values are encrypted, and which logs all that it can."""
    directory = tmp_path_factory.mktemp("logged")
    with running_stack(
        directory, **FAST | {"LOG_LEVEL": "DEBUG", "CACHE_ENCRYPTION_KEY": CACHE_SECRET}
    ) as started:
        yield started


def raw(stack: RunningStack, request: bytes) -> bytes:
    """What the gateway says to bytes that need be no request."""
    parts = urlsplit(stack.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(65_536)


def talk(stack: RunningStack, tenant: Tenant) -> None:
    """Says things in every way that the API takes and refuses."""
    token = stack.token_for(SPEAKER)
    with stack.client() as client:
        body = {
            "kind": "private",
            "name": tenant.canary("name"),
            "topic": tenant.canary("topic"),
            "members": ["grace"],
        }
        channel = client.call("POST", "/v1/channels", SPEAKER, body=body).json["id"]
        path = f"/v1/channels/{channel}/messages"
        for message in (
            {"text": tenant.canary("text"), "metadata": {"a": tenant.canary("b")}},
            {tenant.canary("x"): 1},
        ):
            headers = {"Idempotency-Key": tenant.canary("key"), "User-Agent": tenant.canary("agent")}
            client.call("POST", path, SPEAKER, body=message, headers=headers)
        for query in ("", f"?limit={tenant.canary('limit')}", f"?{tenant.canary('name')}=1"):
            client.call("GET", path + query, SPEAKER)
            client.call("GET", "/v1/channels" + query, SPEAKER)
        refused = client.call("GET", path, headers={"Authorization": f"Bearer {tenant.canary('token')}"})
        assert refused.status == 401
        for method in ("PUT", "DELETE", "GET"):
            client.call(method, f"/v1/channels/{channel}/members/{tenant.canary('member')}", SPEAKER)
        tampered = f"{token[:-4]}AAAA"
        assert client.call("GET", path, headers={"Authorization": f"Bearer {tampered}"}).status == 401
    canary = tenant.canary("raw")
    for request in (
        f"GET /v1/x\r\n{canary}",
        f"{canary}",
        f"POST {path} HTTP/1.1\r\n{canary} : x\r\n\r\n{canary}",
    ):
        raw(stack, request.encode())


def test_no_log_of_a_run_has_a_word_or_a_secret(stack: RunningStack) -> None:
    """Neither the gateway's lines, nor the functions', nor the engines' logs: no text, name, token, or key."""
    tenant = Tenant("QACMEQ")
    talk(stack, tenant)
    secrets = [
        stack.upstash_token.strip(),
        stack.token_for(SPEAKER),
        stack.token_for(SPEAKER).split(".")[2],
        CACHE_SECRET,
    ]
    logs = [path for path in stack.directory.rglob("*") if is_log(path)]
    assert stack.directory / "stack.log" in logs
    text = "\n".join(path.read_text(errors="replace") for path in logs)
    assert '"message":"request"' in text
    assert '"level":"DEBUG"' in text
    assert in_text(text, [tenant], *secrets) == []


def is_log(path: Path) -> bool:
    """Whether a file of the stack's folder is one that it writes to be read."""
    return path.is_file() and path.suffix in {".log", ".json", ".txt", ""} and path.name not in SECRETS


def test_values_in_redis_are_encrypted(stack: RunningStack) -> None:
    """With the setting on, the stack's own Redis holds nothing that could be read."""
    tenant = Tenant("QZENQ")
    with stack.client() as client:
        channel = client.call("POST", "/v1/channels", "ada", body={"kind": "private", "name": "den"}).json[
            "id"
        ]
        path = f"/v1/channels/{channel}/messages"
        for _ in range(10):
            texts = {"messages": [{"text": tenant.canary("text")} for _ in range(20)]}
            assert client.call("POST", path, "ada", body=texts).status == 201
        for after in (0, 100):
            assert client.call("GET", f"{path}?after={after}&limit=100", "ada").status == 200
        found = None
        for _ in range(50):
            client.call("GET", f"{path}?after=0", "ada")
            if found := command(stack, "GET", "budgie:p1"):
                break
            time.sleep(0.1)
    assert str(found).startswith("E2z")
    assert in_text(f"{found} {command(stack, 'KEYS', '*')}", [tenant]) == []


def command(stack: RunningStack, *words: str) -> object:
    """The result of a command in the stack's Redis."""
    connection = HTTPConnection(stack.upstash_url.removeprefix("http://"), timeout=5)
    connection.request(
        "POST", "/", json.dumps(words), {"Authorization": f"Bearer {stack.upstash_token.strip()}"}
    )
    response: object = json.loads(connection.getresponse().read())["result"]
    connection.close()
    return response
