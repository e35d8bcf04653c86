"""Erasing a user: what is removed from changes, reactions, mentions and messages of others."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from dataclasses import fields, replace
from itertools import product
from typing import TYPE_CHECKING, Any, cast

import pytest

from operators.erase_user import Erased
from operators.redaction import without_user, without_user_in_change
from shared.domain.changes import Change, ChangeKind, packed, unpacked
from shared.domain.messages import dumps
from shared.domain.model import ERASED
from shared.storage.memory import MemoryStore
from tests.conftest import FakeClock
from tests.functions.chat import Chat, messages
from tests.operators.changing import MORE, ChangingStore, change, crowd, lively, react
from tests.operators.erasing import erase, eraser, everything_of, fetch
from tests.operators.killed import KilledError, KillingStore
from tests.shared.use_cases.scripted_store import after

if TYPE_CHECKING:
    from tests.api import Api
    from tests.shared.use_cases.scripted_store import ScriptedStore


@pytest.fixture
def store() -> ScriptedStore:
    """A store that a test can intercept where messages change."""
    return ChangingStore()


def changes(chat: Chat, channel: str, user: str = "ada") -> dict[str, Any]:
    """The whole change log as a reader gets it."""
    found = chat.api("GET", f"/v1/channels/{channel}/changes", user=user, query={"limit": 100})
    assert found.status == 200, found.body
    return dict(found.json)


def message(chat: Chat, channel: str, seq: int) -> dict[str, Any]:
    """A message as a reader gets it."""
    return next(each for each in chat.page(channel)["messages"] if each["seq"] == seq)


def test_the_user_is_nowhere_any_more(chat: Chat, store: ScriptedStore) -> None:
    """Neither texts, earlier versions nor the id are in the table, except for keys used within a day."""
    channel = lively(chat)
    assert erase(chat) == Erased(1, 2, returned=False)
    assert MORE not in everything_of(store)
    assert not names(everything_of(store), "eve")
    for each in store.changes(channel, 1, 999):
        assert b"eve" not in (unpacked(each.before, each.body or b"") if each.before else b"")
    assert erase(chat) == Erased(0, 0, returned=False)


def test_counts_stay(chat: Chat) -> None:
    """Of reactions, also where the message does not show all users; a nameless user takes the erased one's place."""
    channel = lively(chat)
    before = [each.get("reactions") for each in chat.page(channel)["messages"]]
    erase(chat)
    reactions = [each.get("reactions") for each in chat.page(channel)["messages"]]
    assert [[(each["emoji"], each["count"]) for each in found or ()] for found in reactions[1:]] == [
        [(each["emoji"], each["count"]) for each in found or ()] for found in before[1:]
    ]
    assert message(chat, channel, 3)["reactions"] == [
        {"emoji": ":ship_it:", "count": 2, "users": ["joe", ERASED]},
        {"emoji": ":+1:", "count": 1, "users": [ERASED]},
    ]
    path = f"{messages(channel)}/{message(chat, channel, 6)['id']}/reactions"
    listed = chat.api("GET", path, query={"emoji": ":ship_it:", "limit": 100}).json
    assert (listed["count"], listed["users"]) == (26, crowd())


def test_others_messages_keep_their_text(chat: Chat) -> None:
    """Only the mention of the user is replaced; who deleted a message is nameless; the preview follows."""
    channel = lively(chat)
    before = {each["seq"]: each for each in chat.page(channel)["messages"]}
    erase(chat)
    named = message(chat, channel, 3)
    assert named["text"] == f"<@{ERASED}> and <@joe>, see <@{ERASED}>"
    assert named["mentions"] == [ERASED, "joe"]
    assert list(named) == list(before[3])
    assert message(chat, channel, 4) == before[4]
    assert message(chat, channel, 5) == before[5] | {"deleted_by": ERASED}
    assert chat.seen(channel)["last_message"]["text"] == f"latest, for <@{ERASED}>"
    assert chat.seen(channel)["unread_count"] == 1


def test_earlier_versions_lose_the_user(chat: Chat) -> None:
    """The author still sees what they wrote, without the id."""
    channel = lively(chat)
    path = f"{messages(channel)}/{message(chat, channel, 4)['id']}/versions"
    erase(chat)
    found = chat.api("GET", path, user="joe").json["versions"]
    assert [each["text"] for each in found] == [f"hello <@{ERASED}>", "hello"]


def test_the_change_log_stays_complete(chat: Chat) -> None:
    """Every number is there. Who is behind, and applies it, gets what a fresh reader gets."""
    channel = lively(chat)
    kinds = [(each["rev"], each["kind"]) for each in changes(chat, channel)["changes"]]
    erase(chat)
    page = changes(chat, channel)
    assert [(each["rev"], each["kind"]) for each in page["changes"]] == kinds
    assert "eve" not in json.dumps(page)
    latest = {each["seq"]: each["message"] for each in page["changes"] if "message" in each}
    for each in chat.page(channel)["messages"]:
        assert each == latest.get(each["seq"], each)


def test_no_container_shows_what_it_remembers(chat: Chat) -> None:
    """Neither a page of changes nor one of messages, whatever a client states that it has."""
    channel = lively(chat)
    path = f"/v1/channels/{channel}/changes"
    old = chat.api("GET", path, query={"limit": 100})
    assert b"eve" in old.body.encode()
    fetch(chat, channel)
    erase(chat)
    etag = {"if-none-match": old.headers["etag"]}
    new = chat.api("GET", path, query={"limit": 100}, headers=etag)
    assert (new.status, "eve" in new.body) == (200, False)
    assert "eve" not in fetch(chat, channel).body


def test_what_is_erased_cannot_be_changed(chat: Chat) -> None:
    """Not edited, not reacted to; its versions are gone."""
    channel = lively(chat)
    erase(chat)
    own = f"{messages(channel)}/{message(chat, channel, 1)['id']}"
    assert chat.api("PUT", f"{own}/reactions/:+1:/me").code == "message_deleted"
    versions = chat.api("GET", f"{own}/versions").json["versions"]
    assert [each["text"] for each in versions] == [""]


def test_others_messages_can_still_be_changed(chat: Chat) -> None:
    """Reactions come and go beside those of the erased user."""
    channel = lively(chat)
    erase(chat)
    named = message(chat, channel, 3)
    react(chat, named, "ada")
    change(chat, "DELETE", named, "/reactions/:ship_it:/me", "joe")
    assert message(chat, channel, 3)["reactions"][0] == {
        "emoji": ":ship_it:",
        "count": 2,
        "users": [ERASED, "ada"],
    }


def test_a_change_in_progress_does_not_bring_the_user_back(
    chat: Chat, store: ScriptedStore, clock: FakeClock
) -> None:
    """Joe's reaction was prepared from the message that showed eve: it is made anew from the rewritten one."""
    channel = lively(chat)
    named = message(chat, channel, 3)
    store.plan("read_message_state", after(lambda: eraser(store, clock).erase("eve")))
    react(chat, named, "ada", ":late:")
    assert message(chat, channel, 3)["reactions"][-1] == {"emoji": ":late:", "count": 1, "users": ["ada"]}
    assert not names(everything_of(store), "eve")


def test_a_change_during_the_erasure_is_kept(chat: Chat, store: ScriptedStore) -> None:
    """It came between reading a message and rewriting it: the message is read again."""
    channel = lively(chat)
    named = message(chat, channel, 3)

    def late(call: Any) -> Any:
        react(chat, named, "ada", ":late:")
        return call()

    store.plan("rewrite_message", late)
    erase(chat)
    assert message(chat, channel, 3)["reactions"][-1] == {"emoji": ":late:", "count": 1, "users": ["ada"]}
    assert not names(everything_of(store), "eve")


def test_a_hidden_reaction_that_moves_into_its_message_is_found(chat: Chat, store: ScriptedStore) -> None:
    """Somebody takes their reaction back while the erasure begins, so that eve's takes its place."""
    channel = lively(chat)
    crowded = message(chat, channel, 6)

    def late(call: Any) -> Any:
        change(chat, "DELETE", crowded, "/reactions/:ship_it:/me", crowd()[0])
        return call()

    store.plan("forget_reactions", late)
    erase(chat)
    assert message(chat, channel, 6)["reactions"][0]["users"][-1] == ERASED
    assert not names(everything_of(store), "eve")


def test_two_users_are_erased_at_once(chat: Chat, store: ScriptedStore, clock: FakeClock) -> None:
    """Neither erasure brings back what the other removed."""
    channel = lively(chat)
    store.plan("rewrite_change", after(lambda: eraser(store, clock).erase("joe")))
    store.plan("rewrite_message", after(lambda: eraser(store, clock).redact("joe", channel)))
    erase(chat)
    found = everything_of(store)
    assert (names(found, "eve"), names(found, "joe")) == (False, False)


def test_an_erasure_that_dies_anywhere_can_be_repeated(chat: Chat, clock: FakeClock) -> None:
    """At each of its calls, before and after its effect; the second run removes what is left."""
    whole = MemoryStore()
    lively(Chat(_api(chat, whole, clock), clock))
    counting = KillingStore(deepcopy_of(whole))
    eraser(counting, clock).erase("eve")
    assert len(counting.calls) > 30
    for at, done in product(range(1, len(counting.calls) + 1), (False, True)):
        store = deepcopy_of(whole)
        with pytest.raises(KilledError):
            eraser(KillingStore(store, at, done=done), clock).erase("eve")
        eraser(store, clock).erase("eve")
        assert not names(everything_of(store), "eve")


def deepcopy_of(store: MemoryStore) -> MemoryStore:
    """Another store with the same content; the values never change themselves."""
    parts = {field.name: getattr(store, field.name) for field in fields(store) if field.name != "_lock"}
    return MemoryStore(**deepcopy(parts))


def names(text: str, user: str) -> bool:
    """Whether something names the user, other than as part of a word or of random bytes."""
    return re.search(rf"['\"@]{user}['\">]", text) is not None


def _api(chat: Chat, store: MemoryStore, clock: FakeClock) -> Api:
    from shared.bootstrap import compose
    from tests.api import Api

    return Api(compose(chat.api.services.settings, cast("Any", store), clock.now, clock.sleep))


# --- without a store ---


def test_a_message_without_the_user_stays_the_same_object() -> None:
    """Also if a similar id, or the id as a word, occurs in it."""
    for text in ("eve", "<@evelyn>", "<@ eve>"):
        body = dumps(
            {"id": "c-1", "text": text, "reactions": [{"emoji": "x", "count": 1, "users": ["evelyn"]}]}
        )
        assert without_user(body, "eve") is body


@pytest.mark.parametrize("user", ["eve", 'quo"te', "grüße", "a\u2028b"])
def test_any_user_id_is_found(user: str) -> None:
    """However JSON writes it."""
    message = {"text": f"<@{user}>", "mentions": [user], "edited_by": user, "deleted_by": user}
    shown = {"text": f"<@{ERASED}>", "mentions": [ERASED], "edited_by": ERASED, "deleted_by": ERASED}
    assert without_user(dumps(message), user) == dumps(shown)


def test_a_change_without_the_user_stays_equal() -> None:
    """Nothing is written for it; a pin loses only who made it."""
    body = dumps({"sender": "ada", "text": "new"})
    before = packed(dumps({"sender": "ada", "text": "old"}), body)
    edit = Change(1, ChangeKind.EDITED, 1, "ada", 0, body, before=before)
    assert without_user_in_change(edit, "eve") == edit
    pin = Change(1, ChangeKind.PINNED, 1, "eve", 0)
    assert without_user_in_change(pin, "eve") == replace(pin, by=ERASED)
