"""Responses are compressed as the client accepts, on every route."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from shared.bootstrap import compose
from shared.cache.pages import EncodedPage, encoded_key, page_state
from shared.runtime.codings import MIN_BYTES, encode
from shared.settings import Settings
from tests.api import Api, event
from tests.decoding import decoded
from tests.functions.chat import Chat, messages

if TYPE_CHECKING:
    from shared.storage.memory import MemoryStore
    from tests.conftest import FakeClock

CODINGS = ("zstd", "gzip")
TEXT = "What a fine day for a chat about nothing in particular. "


def result(chat: Chat, path: str, coding: str | None, method: str = "GET", **rest: Any) -> dict[str, Any]:
    """What Lambda is given."""
    headers = rest.pop("headers", {}) | ({"accept-encoding": coding} if coding else {})
    made = event(method, path, headers=headers, **rest)
    found = chat.api.raw(made)
    json.dumps(found)  # as Lambda's runtime does
    return found


def body_of(found: dict[str, Any]) -> bytes:
    """The body as the client reads it in the end."""
    body = found.get("body") or ""
    raw = base64.b64decode(body, validate=True) if found["isBase64Encoded"] else body.encode()
    return decoded(raw, found["headers"].get("content-encoding"))


@pytest.fixture
def channel(chat: Chat) -> str:
    """A channel of ada's and grace's with a page that is worth compressing."""
    channel = chat.channel("grace")
    for number in range(30):
        chat.post(channel, f"{number} {TEXT}")
    return channel


def paths(chat: Chat, channel: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Routes with a large response, and their queries."""
    for number in range(12):
        chat.create(name=f"channel {number}", topic=TEXT, members=[f"user{n}" for n in range(40)])
    large = str(chat.post(channel, TEXT * 40)["id"])
    members = chat.create(members=[f"user{n}" for n in range(50)])["id"]
    return {
        "page": (messages(channel), {}),
        "message": (f"{messages(channel)}/{large}", {}),
        "list": ("/v1/channels", {}),
        "public": ("/v1/channels", {"query": {"scope": "public"}, "user": "linus"}),
        "members": (f"/v1/channels/{members}/members", {}),
    }


@pytest.mark.parametrize("coding", CODINGS)
def test_large_answers_are_compressed(chat: Chat, channel: str, coding: str) -> None:
    """On every route: smaller, base64 for API Gateway, the same JSON after decoding, and `Vary` is set."""
    for name, (path, rest) in paths(chat, channel).items():
        plain, found = result(chat, path, None, **rest), result(chat, path, coding, **rest)
        headers = found["headers"]
        assert (found["statusCode"], found["isBase64Encoded"]) == (200, True), name
        assert (headers["content-encoding"], headers["vary"]) == (coding, "Accept-Encoding"), name
        assert headers["content-type"] == "application/json"
        assert int(headers["content-length"]) == len(base64.b64decode(found["body"])) < len(plain["body"])
        assert body_of(found) == plain["body"].encode(), name


def test_a_client_that_accepts_no_coding_gets_plain_json(chat: Chat, channel: str) -> None:
    """Without a coding that both know the response is text, with `Vary`."""
    for accepts in (None, "", "br", "identity", "gzip;q=0, zstd;q=0"):
        found = result(chat, messages(channel), accepts)
        assert not found["isBase64Encoded"]
        assert "content-encoding" not in found["headers"]
        assert found["headers"]["vary"] == "Accept-Encoding"
        assert len(json.loads(found["body"])["messages"]) == 30


def test_several_headers_count_as_one(chat: Chat, channel: str) -> None:
    """API Gateway joins header lines with commas; zstd comes first of what is accepted alike."""
    found = result(chat, messages(channel), "gzip,deflate,br,zstd")
    assert found["headers"]["content-encoding"] == "zstd"


def test_small_answers_stay_as_they_are(chat: Chat, channel: str) -> None:
    """What fits into a TCP segment is not compressed, unless the client takes nothing else."""
    path = f"{messages(channel)}?after=29"
    for accepts, is_small in (("zstd, gzip", True), ("gzip, identity;q=0", False)):
        found = result(chat, messages(channel), accepts, query={"after": 29})
        assert len(body_of(found)) < MIN_BYTES, path
        assert ("content-encoding" not in found["headers"]) == is_small
        assert found["headers"]["vary"] == "Accept-Encoding"


def test_posts_say_it_too(chat: Chat, channel: str) -> None:
    """A batch comes back compressed; its replay is the same."""
    chat.clock.ms += 60_000
    body = {"messages": [{"text": TEXT} for _ in range(20)]}
    posts = [
        result(chat, messages(channel), "gzip", "POST", body=body, headers={"idempotency-key": "k"})
        for _ in "ab"
    ]
    assert [each["headers"]["content-encoding"] for each in posts] == ["gzip"] * 2
    assert body_of(posts[0]) == body_of(posts[1])
    assert posts[1]["headers"]["idempotency-replayed"] == "true"


@pytest.mark.parametrize("coding", [*CODINGS, "identity;q=0"])
def test_problems_are_plain(chat: Chat, coding: str) -> None:
    """Errors are not compressed, however large, so that they can be read without tools."""
    body = {"messages": [{"text": "", "x" * 40: 1} for _ in range(20)]}
    found = result(chat, messages(chat.channel()), coding, "POST", body=body)
    assert (found["statusCode"], len(found["body"]) > MIN_BYTES) == (422, True)
    assert found["headers"]["content-type"] == "application/problem+json"
    assert "content-encoding" not in found["headers"]
    assert json.loads(found["body"])["code"] == "validation_failed"


def test_nothing_is_made_of_nothing(chat: Chat, channel: str) -> None:
    """A 304 has no body and no coding, and varies as its page does; a 204 says nothing of it."""
    etag = result(chat, messages(channel), "zstd")["headers"]["etag"]
    found = result(chat, messages(channel), "gzip", headers={"if-none-match": etag})
    assert (found["statusCode"], body_of(found), found["headers"]["vary"]) == (304, b"", "Accept-Encoding")
    assert "content-encoding" not in found["headers"]
    gone = result(chat, f"/v1/channels/{channel}", "gzip", "DELETE")
    assert (gone["statusCode"], body_of(gone)) == (204, b"")
    assert not {"content-encoding", "vary"} & set(gone["headers"])


def test_a_pages_etag_is_the_same_in_every_coding(chat: Chat, channel: str) -> None:
    """It is weak: it names what the page says, not its bytes."""
    etags = {result(chat, messages(channel), each)["headers"]["etag"] for each in (None, *CODINGS)}
    assert len(etags) == 1
    assert etags.pop().startswith("W/")


def test_a_channels_etag_is_the_same_in_every_coding(chat: Chat) -> None:
    """It is weak too, so that a channel may be compressed."""
    made = chat.create(name="n" * 80, topic="t" * 250)
    found = [
        result(chat, f"/v1/channels/{made['id']}", each)["headers"] for each in (None, "gzip, identity;q=0")
    ]
    assert found[0]["etag"] == found[1]["etag"]
    assert ("content-encoding" in found[0], found[1]["content-encoding"]) == (False, "gzip")
    assert found[0]["vary"] == found[1]["vary"] == "Accept-Encoding"


# --- pages that are remembered ---


@pytest.mark.parametrize("coding", CODINGS)
def test_a_remembered_page_is_never_stale(chat: Chat, channel: str, coding: str) -> None:
    """After a post, a batch and more than a block of them each page is what the storage has, in every window."""
    windows: list[dict[str, Any]] = [{}, {"anchor": "oldest"}, {"before": 31}, {"after": 0}, {"around": 15}]
    for count in (0, 1, 3, 60):
        chat.fill(channel, count)
        fresh = Chat(Api(compose(Settings(), chat.api.services.store, chat.api.services.now)), chat.clock)
        for query in windows:
            pages = [body_of(result(chat, messages(channel), coding, query=query)) for _ in "abc"]
            plain = result(fresh, messages(channel), None, query=query)["body"].encode()
            assert set(pages) == {plain}, (count, query)


def test_a_remembered_page_is_only_for_members(chat: Chat, channel: str) -> None:
    """A user who has left, or never was a member, is refused by their own request's read of the channel state."""
    assert result(chat, messages(channel), "zstd", user="grace")["statusCode"] == 200
    chat.remove(channel, "grace")
    assert result(chat, messages(channel), "zstd", user="grace")["statusCode"] == 403
    assert result(chat, messages(channel), "zstd", user="linus")["statusCode"] == 403


def test_a_page_is_made_once_for_all(chat: Chat, channel: str) -> None:
    """A page in memory is sent as it is stored there, neither joined nor compressed, until something is posted."""
    result(chat, messages(channel), "zstd", user="grace")
    memory, marked = chat.api.services.memory, encode(b"the very bytes", "zstd")
    head = chat.api.services.store.read_channel_state(channel, "ada").head
    assert head
    key = encoded_key(channel, 1, 30, "zstd")
    assert key in memory.get([key])
    memory.put({key: EncodedPage(page_state(head, 1, 30), marked)})
    found = result(chat, messages(channel), "zstd")
    assert (body_of(found), found["headers"]["x-cache"]) == (b"the very bytes", "memory")
    assert body_of(result(chat, messages(channel), "gzip")) != b"the very bytes"
    chat.post(channel)
    assert body_of(result(chat, messages(channel), "zstd")) != b"the very bytes"


def test_remembered_pages_keep_to_the_bound(store: MemoryStore, clock: FakeClock) -> None:
    """However many are read, in whichever coding, memory holds what it may; and pages are still right."""
    bound = 60_000
    services = compose(Settings(cache_memory_bytes=bound), store, clock.now)
    chat = Chat(Api(services), clock)
    channels = [chat.channel() for _ in range(6)]
    for channel in channels:
        chat.api("POST", messages(channel), body={"messages": [{"text": TEXT * 3}] * 25})
    for _ in range(3):
        for coding in (*CODINGS, None):
            for channel in channels:
                page = json.loads(body_of(result(chat, messages(channel), coding)))
                assert len(page["messages"]) == 25
                assert services.bytes_held <= bound
