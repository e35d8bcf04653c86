"""The client that docs/clients.md builds works as printed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from websockets.sync.client import connect

from tests.e2e.running import ROOT
from tests.shared.cache.scripted import scripted

if TYPE_CHECKING:
    from tests.e2e.running import RunningStack

pytestmark = pytest.mark.stack


def _client(stack: RunningStack, user: str) -> dict[str, Any]:
    """What the guide's examples define, for a user."""
    text = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    names: dict[str, Any] = {"URL": stack.url, "TOKEN": stack.token_for(user)}
    exec("\n".join(blocks), names)  # noqa: S102  # our own documentation
    return names


def test_the_guides_client_misses_nothing_and_doubles_nothing(stack: RunningStack) -> None:
    """Posts under a key, pages that meet, a 304 when nothing is new, news of the list, and the read position."""
    hedy, ida = _client(stack, "hedy"), _client(stack, "ida")
    status, _, made = hedy["call"](
        "POST", "/v1/channels", {"kind": "private", "name": "guide", "members": ["ida"]}
    )
    assert status == 201
    channel = made["id"]
    assert ida["news"]({}) == []

    first = hedy["post"](channel, "one", key="k")
    assert hedy["post"](channel, "one", key="k") == first
    assert ida["news"]({}) == [channel]
    for start in range(0, 125, 25):
        batch = {"messages": [{"text": f"text {start + n}"} for n in range(25)]}
        assert hedy["call"]("POST", f"/v1/channels/{channel}/messages", batch)[0] == 201

    followed = ida["Channel"](channel)
    assert [each["text"] for each in followed.poll()] == ["one", *(f"text {n}" for n in range(125))]
    assert followed.poll() == followed.poll() == []
    assert ida["news"]({channel: followed.position}) == []
    hedy["post"](channel, "late")
    assert [each["text"] for each in followed.poll()] == ["late"]
    assert sorted(followed.messages) == list(range(1, 128))

    before = followed.position
    one, late = followed.messages[1], followed.messages[127]
    edited = hedy["edit"](channel, one, "one, edited")
    for user in (hedy, ida):
        user["react"](channel, one, "👍")
    hedy["delete"](channel, late)
    assert followed.poll() == []
    assert (followed.position, followed.rev) == (before, 4)
    assert followed.messages[1]["text"] == edited["text"] == "one, edited"
    assert followed.messages[1]["reactions"] == [{"emoji": "👍", "count": 2, "users": ["hedy", "ida"]}]
    assert (followed.messages[127]["text"], followed.messages[127]["deleted"]) == ("", True)
    fresh = ida["Channel"](channel)
    fresh.poll()
    assert (fresh.messages, fresh.position, fresh.rev) == (followed.messages, before, 4)
    with pytest.raises(ValueError, match="version_mismatch"):
        hedy["edit"](channel, one, "again")

    ida["mark_read"](channel, followed.position)
    _, _, page = ida["call"]("GET", "/v1/channels?unread_only=true")
    assert page["channels"] == []


def test_the_guides_client_is_told(stack: RunningStack) -> None:
    """Of frames, of which one is lost, one comes twice and one before another, it makes what pages show."""
    hedy, ida = _client(stack, "hedy"), _client(stack, "ida")
    made = hedy["call"]("POST", "/v1/channels", {"kind": "private", "name": "told", "members": ["ida"]})[2]
    told = ida["Channel"](made["id"])
    told.poll()
    _, _, ticket = ida["call"]("POST", "/v1/realtime/tickets")
    with connect(ticket["url"], subprotocols=["budgie.v1", ticket["ticket"]]) as socket:  # type: ignore[list-item]
        socket.send(json.dumps({"v": 1, "type": "watch", "channels": [{"channel_id": made["id"]}]}))
        assert json.loads(socket.recv(10))["type"] == "watching"

        def heard() -> dict[str, Any]:
            while (frame := json.loads(socket.recv(10)))["type"] != "news":
                pass
            return dict(frame["channels"][0])

        one = hedy["post"](made["id"], "one")
        ida["take"](told, heard())
        assert told.messages == {1: one}
        frames = []
        for text in ("lost", "two", "three"):
            hedy["post"](made["id"], text)
            frames.append(heard())
        hedy["edit"](made["id"], one, "one, edited")
        frames.append(heard())
    for each in (frames[3], frames[2], frames[1], frames[1]):
        ida["take"](told, each)
    fresh = ida["Channel"](made["id"])
    fresh.poll()
    assert (told.messages, told.position, told.rev) == (fresh.messages, 4, 1)


def test_the_guides_client_reads_no_page_behind_one_without_news(stack: RunningStack) -> None:
    """Each page of a list costs the whole list; everything is read where that is asked for."""
    client, asked = _client(stack, "joan"), []
    pages = [
        {"channels": [{"id": f"c{n}", "last_seq": n}], "has_more": n > 0, "next_cursor": str(n)}
        for n in (2, 1, 0)
    ]

    def call(_: str, path: str) -> tuple[int, dict[str, str], dict[str, Any]]:
        asked.append(path)
        return 200, {}, pages[len(asked) - 1]

    client["call"] = call
    assert client["news"]({"c1": 1}) == ["c2"]
    assert len(asked) == 2
    asked.clear()
    assert client["news"]({"c1": 1, "c2": 2}) == []
    assert len(asked) == 1
    asked.clear()
    assert client["news"]({"c1": 1, "c2": 2}, everything=True) == []
    assert len(asked) == 3


def test_the_guides_client_repeats_nothing_that_will_not_pass(stack: RunningStack) -> None:
    """A 500 that says `retryable: false`, of a service that is set up wrongly, is taken at once."""
    client = _client(stack, "hedy")
    with scripted() as script:
        client["URL"] = script.url
        script.responses = [(500, b'{"code": "misconfigured", "retryable": false}')]
        status, _, problem = client["call"]("POST", "/v1/channels", {})
        assert (status, problem["code"]) == (500, "misconfigured")
        assert len(script.requests) == 1


def test_the_guides_client_tells_a_refusal(stack: RunningStack) -> None:
    """An error that is not retryable is raised with its problem document."""
    client = _client(stack, "hedy")
    with pytest.raises(ValueError, match="not_found"):
        client["post"]("0123456789abcdef", "anybody?")
    with pytest.raises(ValueError, match="not_found"):
        client["Channel"]("0123456789abcdef").poll()
