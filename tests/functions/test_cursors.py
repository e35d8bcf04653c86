"""Lists page by page over all names and ids that are allowed: in order, each once, every cursor accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.domain import keys
from shared.domain.model import MAX_NAME_BYTES, Kind
from shared.domain.text import folded, is_visible
from shared.storage.memory import MemoryStore
from tests.contract.samples import open_channel
from tests.lengths import examples

if TYPE_CHECKING:
    from tests.functions.chat import Chat

SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
FIT = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])
USERS = st.text(FIT, min_size=1, max_size=128).filter(keys.is_user_id) | st.sampled_from(
    ["é" * 64, '"' * 128, "x" * 128, "\u0800" * 42, "🦜" * 32]
)
NAMES = st.text(FIT, min_size=1, max_size=80).filter(
    lambda name: is_visible(name) and len(name.encode()) <= MAX_NAME_BYTES
) | st.sampled_from(
    ["ops", "Ops a", "OPS", "release notes 2026-01", "\U0001d160" * 40, '"' * 80, "\\" * 80, "é" * 80]
)


def walk(chat: Chat, path: str, item: str, **query: Any) -> list[Any]:
    """What is on all pages of one each; each cursor is taken back."""
    found: list[Any] = []
    while True:
        response = chat.api("GET", path, user="ada", query={"limit": 1, **query})
        assert response.status == 200, (query, response.body)
        found += response.json[item]
        if not response.json["has_more"]:
            return found
        query["cursor"] = response.json["next_cursor"]


@settings(max_examples=examples(30), suppress_health_check=SHARED)
@given(users=st.lists(USERS, min_size=2, max_size=5, unique=True))
@example(users=["é" * 64, '"' * 128, "🦜" * 32])
def test_every_cursor_of_a_list_of_members_is_taken_back(
    chat: Chat, store: MemoryStore, users: list[str]
) -> None:
    """With any user ids at the ends of pages."""
    others = [each for each in users if each != "ada"]
    channel = open_channel(store, "ada", *others)
    found = walk(chat, f"/v1/channels/{channel}/members", "members")
    assert [each["user_id"] for each in found] == sorted(["ada", *others])


@settings(max_examples=examples(30), suppress_health_check=SHARED)
@given(names=st.lists(NAMES, min_size=2, max_size=6))
@example(names=["Ops a", "ops", "ops", "OPS b", "release notes 2026-03", "release notes 2026-01"])
@example(names=["\U0001d160" * 40, "\U0001d160" * 39 + "x", '"' * 80, "é" * 80, "\\" * 80])
def test_public_channels_come_by_whole_name_and_every_cursor_is_taken_back(
    chat: Chat, store: MemoryStore, names: list[str]
) -> None:
    """By the folded name, shorter ones first, then by id, with any names at the ends of pages."""
    made = [open_channel(store, "grace", kind=Kind.PUBLIC, name=name) for name in names]
    found = walk(chat, "/v1/channels", "channels", scope="public")
    assert [each["id"] for each in found] == [
        each["id"] for each in sorted(found, key=lambda each: (folded(each["name"]), each["id"]))
    ]
    assert set(made) == {each["id"] for each in found}
    for each in made:
        store.archive_channel(each, 1)


@settings(max_examples=examples(10), suppress_health_check=SHARED)
@given(times=st.lists(st.integers(0, 2**43), min_size=2, max_size=4))
def test_every_cursor_of_ones_own_list_is_taken_back(
    chat: Chat, store: MemoryStore, times: list[int]
) -> None:
    """Whenever the channels were last active."""
    made = [open_channel(store, "linus", kind=Kind.PRIVATE, created_at=at) for at in times]
    query: dict[str, Any] = {"limit": 1}
    found: list[str] = []
    while len(found) < len(made):
        page = chat.listing("linus", **query)
        found += [each["id"] for each in page["channels"]]
        query["cursor"] = page["next_cursor"]
    assert sorted(found) == sorted(made)
    for each in made:
        membership = store.membership(each, "linus")
        assert membership
        assert store.archive_channel(each, 0)
        assert store.remove_member(membership, even_last_owner=True)
