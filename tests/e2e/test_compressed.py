"""Compressed responses over HTTP: what `curl --compressed` gets from the stack that `make run` starts."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.decoding import decoded

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.running import RunningStack

pytestmark = pytest.mark.stack


@pytest.fixture
def path(stack: RunningStack) -> str:
    """A page worth compressing."""
    with stack.client() as client:
        made = client.call("POST", "/v1/channels", "ada", body={"kind": "public", "name": "wire"})
        path = f"/v1/channels/{made.json['id']}/messages"
        body = {"messages": [{"text": f"{number} What a fine day for a chat. "} for number in range(15)]}
        assert client.call("POST", path, "ada", body=body).status == 201
    return path


@pytest.mark.parametrize("coding", ["zstd", "gzip"])
def test_the_gateway_passes_compressed_bytes_through(stack: RunningStack, path: str, coding: str) -> None:
    """The bytes that the function made arrive as they are, in fewer than the plain ones, with their headers."""
    with stack.client() as client:
        plain = client.call("GET", path, "ada")
        found = client.call("GET", path, "ada", headers={"Accept-Encoding": coding})
    assert (found.headers["content-encoding"], found.headers["vary"]) == (coding, "Accept-Encoding")
    assert int(found.headers["content-length"]) == len(found.body) < len(plain.body)
    assert decoded(found.body, coding) == plain.body


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_reads_what_it_asked_for(stack: RunningStack, path: str, tmp_path: Path) -> None:
    """`curl --compressed` offers what it knows, gets it, and writes JSON."""
    file, headers = tmp_path / "page.json", tmp_path / "headers"
    token = f"Authorization: Bearer {stack.token_for('ada')}"
    command = ["curl", "-fsS", "--compressed", "-H", token, "-o", str(file), "-D", str(headers)]
    subprocess.run([*command, stack.url + path], timeout=30, check=True)  # noqa: S603 - our own stack
    assert "content-encoding: " in headers.read_text().lower()
    assert len(json.loads(file.read_text())["messages"]) == 15
