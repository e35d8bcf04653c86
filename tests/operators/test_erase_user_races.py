"""Erasing a user while others read and post, and while the tool itself is killed."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from operators.erase_user import Erased
from shared.bootstrap import compose
from shared.domain.model import ERASED, Preview, Role
from shared.domain.moderation import Ban, Block, Report
from shared.settings import Settings
from shared.storage.log_reader import repair_preview
from shared.storage.memory import MemoryStore
from tests.api import Api
from tests.conftest import FakeClock
from tests.functions.chat import Chat, messages, texts
from tests.operators.erasing import SECRET, STAND_IN, erase, eraser, everything_of, fetch
from tests.operators.killed import KilledError, KillingStore
from tests.shared.use_cases.scripted_store import after

if TYPE_CHECKING:
    from tests.shared.use_cases.scripted_store import ScriptedStore


# --- caches ---


def test_no_container_shows_what_it_remembers(chat: Chat, channel: str, store: ScriptedStore) -> None:
    """Each had the page in memory: the next request shows none of it, whatever its headers."""
    services = chat.api.services
    others = [Chat(Api(compose(services.settings, store, services.now)), chat.clock) for _ in range(2)]
    known = [fetch(each, channel) for each in (chat, *others)]
    assert all(SECRET in each.body for each in known)
    erase(chat)
    for each, before in zip((chat, *others), known, strict=True):
        response = fetch(each, channel, **{"if-none-match": before.headers["etag"]})
        assert (response.status, SECRET in response.body) == (200, False)
        assert response.headers["etag"] != before.headers["etag"]
        again = fetch(each, channel, **{"if-none-match": response.headers["etag"]})
        assert again.status == 304
        assert fetch(each, channel).headers["x-cache"] == "memory"


def test_an_etag_without_redactions_is_as_it_was(chat: Chat, channel: str) -> None:
    """Clients' cached pages of other channels stay valid."""
    assert fetch(chat, channel).headers["etag"] == 'W/"2.3"'
    erase(chat)
    assert fetch(chat, channel).headers["etag"] == 'W/"2-1.3"'


def test_a_reader_on_its_way_does_no_harm(chat: Chat, channel: str, store: ScriptedStore) -> None:
    """A reader of channel state and entries around the redaction does not pass the old text on to others."""
    store.plan("entries", after(lambda: erase(chat)))
    fetch(chat, channel)
    assert SECRET not in fetch(chat, channel).body
    assert SECRET not in json.dumps(chat.listing())


# --- concurrent operations ---


def test_a_post_on_its_way_does_not_come_after(chat: Chat, channel: str, store: ScriptedStore) -> None:
    """Eve's post has reserved its position when she is erased: it is refused, and the list does not show its text."""

    def strike() -> None:
        eraser(store, cast("FakeClock", chat.clock)).erase("eve")

    store.plan("commit", after(strike))
    response = chat.api("POST", messages(channel), user="eve", body={"text": SECRET})
    assert (response.status, response.code) == (404, "channel_not_found")
    assert SECRET not in fetch(chat, channel).body
    assert SECRET not in everything_of(store)


def test_a_post_that_never_ended_is_shown_nowhere(chat: Chat, channel: str, store: ScriptedStore) -> None:
    """Its container died after it reserved a position and the list showed its text: the erasure removes that too."""
    store.reserve(channel, 1, Preview(0, "eve", SECRET, chat.clock.ms))
    assert SECRET in json.dumps(chat.listing())
    erase(chat)
    assert SECRET not in json.dumps(chat.listing())
    assert texts(chat.page(channel)) == ["", "hello", ""]
    assert SECRET not in everything_of(store)


def test_a_preview_mended_meanwhile_does_not_come_back(
    chat: Chat, channel: str, store: ScriptedStore
) -> None:
    """A reader read eve's last message as a preview to replace a void, and was suspended while she was erased."""
    store.reserve(channel, 1, Preview(0, "ada", "lost", chat.clock.ms))
    store.plan("correct_preview", after(lambda: erase(chat)))
    repair_preview(store, channel, 4)
    assert SECRET not in json.dumps(chat.listing())
    assert texts(chat.page(channel)) == ["", "hello", ""]
    assert chat.listing()["channels"][0]["last_message"]["seq"] in {3, 4}
    assert SECRET not in everything_of(store)


def test_a_retry_is_answered_with_what_is_left(chat: Chat, channel: str) -> None:
    """Eve, who has rejoined, repeats an earlier key: the message is not posted again, and its text does not return."""
    once = {"user": "eve", "body": {"text": SECRET}, "headers": {"idempotency-key": "k"}}
    posted = chat.api("POST", messages(channel), **cast("Any", once))
    erase(chat)
    assert chat.api("POST", messages(channel), **cast("Any", once)).status == 404
    chat.put_member(channel, "eve")
    again = chat.api("POST", messages(channel), **cast("Any", once))
    assert (again.status, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.json["id"] == posted.json["id"]
    assert (again.json["sender"], again.json["text"]) == (ERASED, "")


def test_who_comes_back_is_named(chat: Chat, channel: str, clock: FakeClock, store: ScriptedStore) -> None:
    """Somebody invited eve during her erasure: existing messages are redacted, and the tool asks to be run again."""

    def invited(seconds: float) -> None:
        clock.sleep(seconds)
        chat.put_member(channel, "eve")

    assert replace(eraser(store, clock), sleep=invited).erase("eve") == Erased(1, 2, returned=True)
    chat.post(channel, SECRET, "eve")
    assert erase(chat) == Erased(1, 1, returned=False)
    assert texts(chat.page(channel)) == ["", "hello", "", ""]


def test_who_came_and_left_meanwhile_is_found_by_the_next_run(
    chat: Chat, channel: str, clock: FakeClock, store: ScriptedStore
) -> None:
    """The membership that ended meanwhile is not deleted with the one that was processed."""

    def visited(seconds: float) -> None:
        clock.sleep(seconds)
        if seconds == STAND_IN:
            chat.put_member(channel, "eve")
            chat.post(channel, SECRET, "eve")
            chat.remove(channel, "eve")

    replace(eraser(store, clock), sleep=visited).erase("eve")
    assert [each.channel_id for each in store.past_memberships("eve")] == [channel]
    assert erase(chat).messages == 1


def test_a_role_that_changes_meanwhile_is_no_obstacle(chat: Chat, channel: str, store: ScriptedStore) -> None:
    """The membership is read again until it is gone."""
    stale = store.membership(channel, "eve")
    assert stale is not None
    assert store.change_role(stale, Role.MODERATOR)
    eraser(store, cast("FakeClock", chat.clock))._leave(stale)
    assert store.membership(channel, "eve") is None


# --- order, and being killed ---


def test_the_order_of_the_steps(channel: str, store: ScriptedStore, clock: FakeClock) -> None:
    """Leave, wait, redact, count, repair the preview, wait, delete: any other order could show something again."""
    watched = KillingStore(store)
    assert channel
    eraser(watched, clock).erase("eve")
    writes = {"remove_member", "redact", "count_erasure", "correct_preview", "forget_past_membership"}
    assert [each for each in watched.calls if each in writes] == [
        "remove_member",
        "redact",
        "redact",
        "count_erasure",
        "correct_preview",
        "forget_past_membership",
    ]
    assert clock.slept == [15.0, STAND_IN]


@pytest.mark.parametrize("done", [False, True])
def test_killed_at_any_step_it_is_finished_by_the_next_run(filled: MemoryStore, *, done: bool) -> None:
    """Killed before or after the effect of any call, the next run ends like an undisturbed one."""
    step, kills = 0, 0
    while step == kills:
        step += 1
        store, clock = copy_of(filled), FakeClock()
        killing = KillingStore(store, step, done=done)
        try:
            eraser(killing, clock).erase("eve")
        except KilledError:
            kills += 1
        again = eraser(store, clock).erase("eve")
        assert not again.returned
        text = everything_of(store)
        assert SECRET not in text
        assert "'eve'" not in text
        assert eraser(store, clock).erase("eve") == Erased(0, 0, returned=False)
    assert kills > 20


def test_killed_at_any_step_no_cache_goes_wrong(filled: MemoryStore) -> None:
    """Readers with warm memories read between all steps of the killed run, and after the one that finishes."""
    step, kills = 0, 0
    while step == kills:
        step += 1
        store, clock = copy_of(filled), FakeClock()
        warm = Chat(Api(compose(Settings(), store, clock.now, clock.sleep)), clock)
        channel = next(iter(store.contents()["heads"]))

        def read(warm: Chat = warm, channel: str = channel) -> None:
            fetch(warm, channel)

        read()
        try:
            eraser(KillingStore(store, step, watch=read), clock).erase("eve")
        except KilledError:
            kills += 1
        eraser(KillingStore(store, watch=read), clock).erase("eve")
        assert SECRET not in fetch(warm, channel).body
        assert SECRET not in json.dumps(warm.listing())
    assert kills > 20


@pytest.fixture(scope="module")
def filled() -> MemoryStore:
    """Eve owns a channel, is a member of another one, and has left a third."""
    store, clock = MemoryStore(), FakeClock()
    chat = Chat(Api(compose(Settings(), store, clock.now, clock.sleep)), clock)
    member, left = chat.channel("eve"), chat.channel("eve")
    own = str(chat.create("eve", name="own", members=["ada"])["id"])
    for channel in (member, left, own):
        chat.post(channel, f"{SECRET} 1", "eve")
        chat.post(channel, "hello")
        chat.post(channel, f"{SECRET} 2", "eve")
    assert chat.remove(left, "me", "eve").status == 204
    for one, other in (("eve", "ada"), ("joe", "eve")):
        store.block(Block(one, other, clock.ms))
    message, owner = f"{member}-00000002", store.membership(member, "ada")
    assert owner
    store.add_report(Report(member, "0" * 16, message, "eve", "abuse", SECRET, clock.ms), 1)
    store.ban(Ban(left, "eve", "ada", clock.ms), None, replace(owner, channel_id=left))
    return store


def copy_of(store: MemoryStore) -> MemoryStore:
    """A store with the same content."""
    return MemoryStore(
        dict(store._heads),
        {channel: dict(log) for channel, log in store._entries.items()},
        dict(store._memberships),
        defaultdict(set, {user: set(channels) for user, channels in store._channels_of.items()}),
        dict(store._past_memberships),
        dict(store._idempotency_records),
        _blocks=dict(store._blocks),
        _bans=dict(store._bans),
        _reports=dict(store._reports),
        _reports_made=dict(store._reports_made),
    )
