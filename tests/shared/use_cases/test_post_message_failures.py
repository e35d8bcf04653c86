"""Posting under lost positions and storage failures: a message is acknowledged exactly if it is stored, once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from shared.domain.errors import (
    CommitUnknownError,
    ContentionError,
    StoreUnavailableError,
    UnavailableError,
)
from shared.storage.log_reader import HOLE_WAITS_SECONDS
from shared.storage.protocol import Contended
from shared.use_cases.mark_read import mark_read
from shared.use_cases.post_message import MAX_COMMITS, MAX_RESERVATIONS
from tests.shared.use_cases.posting import Chat, messages, texts
from tests.shared.use_cases.scripted_store import Step, after, fails, loses_its_answer, responses

KEYS = pytest.mark.parametrize("key", [None, "k1"])


# --- a number that was lost to a reader ---


@KEYS
def test_a_writer_that_finds_a_void_reserves_another_position(chat: Chat, key: str | None) -> None:
    """A reader settled the hole first; the message is stored later, once."""
    chat.store.plan("commit", after(chat.settle_first), after(chat.settle_first))
    posted = chat.post("hello", key=key)
    assert (posted.last_seq, posted.replayed) == (3, False)
    assert [each["seq"] for each in messages(posted)] == [3]
    assert (chat.log(), chat.shown()) == ([None, None, "hello"], "hello")


def test_a_void_is_no_unread_message(chat: Chat) -> None:
    """Before and after it is read past; also for the sender, who has read up to the message after it."""
    chat.store.plan("commit", after(chat.settle_first))
    chat.post("hello")
    assert chat.membership("joe").unread(chat.head()) == 1
    assert chat.membership("eve").unread(chat.head()) == 0
    mark_read(chat.services, "joe", chat.channel, 2, force=False)
    assert chat.membership("joe").unread(chat.head()) == 0
    chat.post("hello again")
    assert [chat.membership(each).unread(chat.head()) for each in ("joe", "eve")] == [1, 0]


def test_a_batch_moves_whole(chat: Chat) -> None:
    """A void in its middle: its other positions are given up too, and the batch is stored in one piece further on."""
    chat.store.plan("commit", after(partial(chat.settle, 2)))
    posted = chat.post("one", "two", "three", key="k1")
    assert (texts(posted), posted.last_seq) == (["one", "two", "three"], 6)
    assert chat.log() == [None, None, None, "one", "two", "three"]


@KEYS
def test_a_writer_who_always_finds_voids_gives_up(chat: Chat, key: str | None) -> None:
    """After four reservations: 503 with a `Retry-After`, and no message is stored."""
    chat.store.plan("commit", *[after(chat.settle_first)] * MAX_RESERVATIONS)
    with pytest.raises(ContentionError) as caught:
        chat.post("one", "two", key=key)
    assert caught.value.retry_after == 1
    assert (chat.log(), chat.shown()) == ([None] * 2 * MAX_RESERVATIONS, None)
    assert (chat.membership().read_seq, chat.membership().tat) == (0, 0)


# --- other transactions in the way ---


def test_a_commit_that_met_another_transaction_is_repeated(chat: Chat) -> None:
    """At the same position, after a wait."""
    chat.store.plan("commit", responses(Contended()), responses(Contended()))
    assert chat.post("hello").last_seq == 1
    assert len(chat.clock.slept) == 2
    assert chat.log() == ["hello"]


def test_a_commit_that_always_meets_others_gives_up(chat: Chat) -> None:
    """After a bounded number of tries the position is given up and nothing is stored."""
    chat.store.plan("commit", *[responses(Contended())] * MAX_COMMITS)
    with pytest.raises(ContentionError):
        chat.post("hello")
    assert (chat.log(), chat.shown()) == ([None], None)
    assert len(chat.clock.slept) == MAX_COMMITS - 1, "nobody waits for a try that does not come"
    assert sum(chat.clock.slept) < 2


# --- the storage fails ---


@KEYS
def test_a_commit_whose_answer_was_lost_is_acknowledged(chat: Chat, key: str | None) -> None:
    """The message is stored, so the void finds it: 201, once, and a repetition replays it."""
    chat.store.plan("commit", loses_its_answer)
    posted = chat.post("one", "two", key=key)
    assert (texts(posted), posted.last_seq, posted.replayed) == (["one", "two"], 2, False)
    assert chat.log() == ["one", "two"]
    if key:
        assert chat.post("one", "two", key=key).bodies == posted.bodies
        assert chat.log() == ["one", "two"]


@KEYS
def test_a_commit_that_failed_is_given_up(chat: Chat, key: str | None) -> None:
    """Nothing is stored there, nothing can be later, and the preview is the old one again."""
    chat.post("before", user="ada")
    chat.store.plan("commit", fails)
    with pytest.raises(StoreUnavailableError):
        chat.post("one", "two", key=key)
    assert (chat.log(), chat.shown()) == (["before", None, None], "before")
    assert chat.post("one", "two", key=key).last_seq == 5


def test_a_commit_that_failed_after_a_conflict_is_given_up(chat: Chat) -> None:
    """If a commit conflicts and its repetition fails, the error of the repetition is returned."""
    chat.store.plan("commit", responses(Contended()), fails)
    with pytest.raises(StoreUnavailableError):
        chat.post("hello")
    assert chat.log() == [None]


def test_what_came_of_a_commit_may_stay_unknown_and_have_failed(chat: Chat) -> None:
    """The void fails as well; the same key posts it later, once, and readers settle the hole."""
    chat.store.plan("commit", fails)
    chat.store.plan("void", fails)
    with pytest.raises(CommitUnknownError) as caught:
        chat.post("hello", key="k1")
    assert caught.value.retry_after == 1
    assert not chat.post("hello", key="k1").replayed
    assert [each.seq for each in chat.store.entries(chat.channel, 1, 9)] == [2]
    chat.settle_first()
    assert chat.log() == [None, "hello"]


def test_what_came_of_a_commit_may_stay_unknown_and_have_gone_well(chat: Chat) -> None:
    """The same key gets the stored message."""
    chat.store.plan("commit", loses_its_answer)
    chat.store.plan("void", fails)
    with pytest.raises(CommitUnknownError):
        chat.post("hello", key="k1")
    assert chat.post("hello", key="k1").replayed
    assert chat.log() == ["hello"]


def test_a_void_whose_answer_was_lost_is_unknown_too(chat: Chat) -> None:
    """The number is settled, though the writer could not learn it; the same key posts the message once."""
    chat.store.plan("commit", fails)
    chat.store.plan("void", loses_its_answer)
    with pytest.raises(CommitUnknownError):
        chat.post("hello", key="k1")
    chat.post("hello", key="k1")
    assert chat.log() == [None, "hello"]


@pytest.mark.parametrize("step", [fails, loses_its_answer])
def test_a_number_that_was_not_given_is_no_post(chat: Chat, step: Step) -> None:
    """If it was reserved after all, it is a hole that readers settle; no message is stored, and the key is free."""
    chat.store.plan("reserve", step)
    with pytest.raises(StoreUnavailableError):
        chat.post("hello", key="k1")
    assert chat.store.entries(chat.channel, 1, 9) == []
    assert not chat.post("hello", key="k1").replayed


def test_a_failed_read_of_the_channel_state_is_no_post(chat: Chat) -> None:
    """Nothing was written."""
    chat.store.plan("read_channel_state", fails)
    with pytest.raises(UnavailableError):
        chat.post("hello")
    assert chat.log() == []


def test_a_repeat_while_the_first_is_unknown_posts_once(chat: Chat) -> None:
    """A repetition between the commit and the void that finds it: both return the same message."""
    repeats = []
    chat.store.plan("commit", loses_its_answer)
    chat.store.plan("void", after(lambda: repeats.append(chat.post("hello", key="k1"))))
    assert chat.post("hello", key="k1").bodies == repeats[0].bodies
    assert repeats[0].replayed
    assert chat.log() == ["hello"]


# --- a transaction that is seen in part: what it wrote becomes visible one item after the other ---


def test_a_replay_waits_for_the_rest_of_its_transaction(chat: Chat) -> None:
    """With the idempotency record but none or one of the messages visible, the first response is still returned."""
    first = chat.post("one", "two", "three", key="k1")
    [one, *_] = chat.store.entries(chat.channel, 1, 3)
    chat.store.plan("entries", responses([]), responses([one]))
    assert chat.post("one", "two", "three", key="k1").bodies == first.bodies
    assert chat.clock.slept == list(HOLE_WAITS_SECONDS[:2])


def test_a_replay_without_its_messages_is_no_answer(chat: Chat) -> None:
    """They do not come within the time of a request: 503, and the same key asks again."""
    chat.post("one", key="k1")
    chat.store.plan("entries", *[responses([])] * (len(HOLE_WAITS_SECONDS) + 1))
    with pytest.raises(CommitUnknownError) as caught:
        chat.post("one", key="k1")
    assert caught.value.retry_after == 1
    assert texts(chat.post("one", key="k1")) == ["one"]


def test_a_commit_whose_answer_was_lost_is_acknowledged_whole(chat: Chat) -> None:
    """A write waits for the transaction at its items: all are asked for at once, or a reader might lack the rest."""
    log, rest = chat.store.log(chat.channel), {}

    def seen_in_part(call: Callable[[], object]) -> None:
        call()
        rest.update({seq: log.pop(seq) for seq in (3, 2)})  # the second position comes to be seen first
        raise StoreUnavailableError(retry_after=1)

    chat.store.plan("commit", seen_in_part)
    chat.store.plan("void", after(lambda: log.update(rest)))
    assert texts(chat.post("one", "two", "three")) == ["one", "two", "three"]
    assert chat.log() == ["one", "two", "three"]


def test_a_post_that_fails_leaves_a_later_ones_preview(chat: Chat) -> None:
    """Another message was committed after it."""
    chat.store.plan("commit", after(partial(chat.post, "later", user="joe"), partial(fails, bool)))
    with pytest.raises(StoreUnavailableError):
        chat.post("first")
    assert (chat.log(), chat.shown()) == ([None, "later"], "later")
