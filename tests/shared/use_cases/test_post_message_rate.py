"""Posting: how fast one may, and that times do not go back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from shared.domain.clock import MAX_SKEW_MS, rfc3339
from shared.domain.errors import ContentionError, RateLimitedError
from shared.domain.model import Role
from tests.shared.use_cases.posting import Chat, messages, texts
from tests.shared.use_cases.scripted_store import after

# --- how fast ---


def test_the_burst_passes_and_not_one_more(chat: Chat) -> None:
    """The refusal says when to come back, and that is true."""
    chat.limit(per_second=2, burst=3)
    rates = [chat.post(f"{i}").rate for i in range(3)]
    assert [rate.remaining for rate in rates if rate] == [2, 1, 0]
    with pytest.raises(RateLimitedError) as caught:
        chat.post("refused")
    assert caught.value.retry_after == 1
    assert caught.value.verdict is not None
    assert caught.value.verdict.remaining == 0
    assert chat.head().seq == 3
    chat.clock.ms += 1000
    chat.post("later")
    assert chat.log() == ["0", "1", "2", "later"]


def test_the_rate_is_each_users_own(chat: Chat) -> None:
    """A refused user limits no other user."""
    chat.limit(burst=1)
    chat.post("one")
    chat.post("two", user="joe")
    with pytest.raises(RateLimitedError):
        chat.post("three")


def test_posts_decided_at_the_same_time_are_counted_together(chat: Chat) -> None:
    """Three posts between the read and the commit use up the burst: the fourth is refused and voided."""
    chat.limit(burst=3)
    chat.store.plan("commit", after(*[partial(chat.post, f"{i}") for i in range(3)]))
    with pytest.raises(RateLimitedError):
        chat.post("refused")
    assert (chat.log(), chat.shown()) == ([None, "0", "1", "2"], "2")


def test_a_post_that_met_another_of_its_user_is_stored_too(chat: Chat) -> None:
    """Within the rate it commits again at the same position, on the state that the other left."""
    chat.store.plan("commit", after(partial(chat.post, "inner")))
    posted = chat.post("outer")
    assert chat.log() == ["outer", "inner"]
    assert posted.rate
    assert posted.rate.remaining == 23
    assert chat.membership().tat == posted.rate.tat


def test_the_rate_holds_in_threads(chat: Chat) -> None:
    """Of 48 posts of one user at once exactly the burst is stored, and each response says which."""
    chat.limit(burst=10)

    def attempt(text: str) -> str | None:
        try:
            return texts(chat.post(text))[0]
        except (RateLimitedError, ContentionError):
            return None

    with ThreadPoolExecutor(8) as pool:
        accepted = [text for text in pool.map(attempt, map(str, range(48))) if text]
    assert sorted(accepted) == sorted(text for text in chat.log() if text)
    assert 1 <= len(accepted) <= 10


def test_slow_mode_holds_for_plain_members(chat: Chat) -> None:
    """One message each so many seconds; moderators and owners go on."""
    chat.slow_down(30)
    chat.promote("joe", Role.MODERATOR)
    chat.post("one")
    with pytest.raises(RateLimitedError) as caught:
        chat.post("two")
    assert caught.value.retry_after == 30
    for user in ("joe", "ada", "joe", "ada"):
        chat.post("free", user=user)
    chat.clock.ms += 30_000
    chat.post("two")


# --- times ---


@pytest.mark.parametrize(("back", "kept"), [(1, True), (MAX_SKEW_MS, True), (MAX_SKEW_MS + 1, False)])
def test_times_do_not_go_back_when_clocks_differ(chat: Chat, back: int, kept: bool) -> None:  # noqa: FBT001 - a case
    """A container whose clock is up to ten minutes behind keeps the time of the message before."""
    [first] = messages(chat.post("one", user="ada"))
    chat.clock.ms -= back
    [second] = messages(chat.post("two"))
    assert second["created_at"] == (first["created_at"] if kept else rfc3339(chat.clock.ms))
