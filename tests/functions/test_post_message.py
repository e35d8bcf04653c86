"""Posting messages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.clock import CLOCKS_APART_MS
from tests.cases import case
from tests.functions.chat import messages, texts

if TYPE_CHECKING:
    from tests.api import Response
    from tests.functions.chat import Chat


def post(
    chat: Chat, channel: str, body: dict[str, Any] | None = None, user: str = "ada", key: str = ""
) -> Response:
    """The response to posting, with an `Idempotency-Key` if one is given."""
    headers = {"idempotency-key": key} if key else None
    return chat.api("POST", messages(channel), user=user, body=body or {"text": "Hello"}, headers=headers)


def batch(*texts: str) -> dict[str, Any]:
    """A batch's body."""
    return {"messages": [{"text": text} for text in texts]}


def test_a_posted_message_is_returned_whole(chat: Chat) -> None:
    """201, and the message with its id, position, sender and time."""
    channel = chat.channel()
    response = post(chat, channel, {"text": "Hello"})
    assert response.status == 201
    assert response.json == {
        "id": f"{channel}-00000001",
        "seq": 1,
        "sender": "ada",
        "text": "Hello",
        "created_at": "2026-11-23T18:44:24.000Z",
    }


def test_what_the_sender_added_comes_back(chat: Chat) -> None:
    """`client_message_id` and `metadata` are part of the message for every reader."""
    channel = chat.channel("grace")
    extra = {
        "client_message_id": "01J9ZK3",
        "metadata": {"reply_to": 7, "tags": ["a", None, 1.5, {"é": "😀"}]},
    }
    response = post(chat, channel, {"text": "Hello"} | extra)
    assert {name: response.json[name] for name in extra} == extra
    assert chat.page(channel, "grace")["messages"] == [response.json]


def test_the_location_leads_to_the_messages(chat: Chat) -> None:
    """`Location` is the page of exactly what was posted."""
    for body in [{"text": "one"}, batch("one"), batch("one", "two", "three")]:
        with case(body):
            channel = chat.channel()
            chat.fill(channel, 3)
            posted = post(chat, channel, body)
            page = chat.follow(posted.headers["location"])
            assert page.json["messages"] == posted.json.get("messages", [posted.json])
            chat.post(channel, "later")
            assert chat.follow(posted.headers["location"]).json["messages"] == page.json["messages"]


def test_a_text_stays_as_it_is(chat: Chat) -> None:
    """Nothing is truncated, trimmed, escaped or normalised."""
    for text in ["x" * 4_000, "😀" * 4_000, " x ", "\n\tx\r\n", "é́", "<b>&amp;</b>", '"\\']:
        with case(text):
            channel = chat.channel()
            assert post(chat, channel, {"text": text}).json["text"] == text
            assert texts(chat.page(channel)) == [text]


def test_a_batch_has_adjacent_positions(chat: Chat) -> None:
    """A batch is posted whole and in order, and returned as a list."""
    channel = chat.channel()
    chat.post(channel)
    chat.clock.ms += 1_000
    response = post(chat, channel, batch(*(str(number) for number in range(25))))
    assert response.status == 201
    assert [message["seq"] for message in response.json["messages"]] == list(range(2, 27))
    assert texts(response.json) == [str(number) for number in range(25)]
    assert chat.seen(channel)["last_message"]["text"] == "24"


def test_one_bad_message_of_a_batch_posts_none(chat: Chat) -> None:
    """A batch is posted whole or not at all, and the error names the bad message."""
    channel = chat.channel()
    response = post(chat, channel, batch("fine", " ", "fine"))
    assert (response.status, response.code) == (422, "validation_failed")
    assert [error["field"] for error in response.json["errors"]] == ["body.messages.1.text"]
    assert chat.page(channel)["messages"] == []


def test_times_do_not_go_back(chat: Chat) -> None:
    """A message is no earlier than the one before it, even if the container's clock is behind."""
    channel = chat.channel()
    first = chat.post(channel)
    chat.clock.ms -= 2_000
    assert post(chat, channel).json["created_at"] == first["created_at"]


# --- idempotency ---


@pytest.mark.parametrize("body", [{"text": "once", "metadata": {"a": 1}}, batch("once", "and again")])
def test_a_repeated_key_gets_the_first_answer(chat: Chat, body: dict[str, Any]) -> None:
    """Status, body and `Location` are the first time's; only one header says that it was one before."""
    channel = chat.channel()
    first = post(chat, channel, body, key="key-1")
    chat.post(channel, "meanwhile")
    again = post(chat, channel, body, key="key-1")
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["location"] == first.headers["location"]
    assert chat.seen(channel)["last_seq"] == len(body.get("messages", [body])) + 1


@pytest.mark.parametrize(
    "body",
    [
        {"text": "other"},
        {"text": "first", "client_message_id": "x"},
        {"text": "first", "metadata": {}},
        batch("first", "second"),
    ],
)
def test_another_body_under_the_same_key_is_refused(chat: Chat, body: dict[str, Any]) -> None:
    """A key belongs to one request."""
    channel = chat.channel()
    post(chat, channel, {"text": "first"}, key="key-1")
    response = post(chat, channel, body, key="key-1")
    assert (response.status, response.code) == (422, "idempotency_key_reused")
    assert texts(chat.page(channel)) == ["first"]


@pytest.mark.parametrize("bodies", [({"text": "x"}, batch("x")), (batch("x"), {"text": "x"})])
def test_a_message_and_a_batch_of_it_are_two_requests(chat: Chat, bodies: list[dict[str, Any]]) -> None:
    """A single message and a batch of one are different requests; each is replayed in its own form."""
    channel = chat.channel()
    first, other = bodies
    posted = post(chat, channel, first, key="key-1")
    response = post(chat, channel, other, key="key-1")
    assert (response.status, response.code) == (422, "idempotency_key_reused")
    again = post(chat, channel, first, key="key-1")
    assert (again.status, again.body) == (201, posted.body)
    assert texts(chat.page(channel)) == ["x"]


def test_the_order_of_metadata_does_not_make_another_body(chat: Chat) -> None:
    """Two spellings of the same JSON are the same request."""
    channel = chat.channel()
    post(chat, channel, {"text": "x", "metadata": {"a": 1, "b": 2}}, key="key-1")
    assert post(chat, channel, {"metadata": {"b": 2, "a": 1}, "text": "x"}, key="key-1").status == 201
    assert len(chat.page(channel)["messages"]) == 1


def test_a_key_is_its_users_and_its_channels(chat: Chat) -> None:
    """The same key of another user, or in another channel, is another key."""
    first, second = chat.channel("grace"), chat.channel("grace")
    posted = [
        post(chat, channel, {"text": f"{user} {channel}"}, user, key="key-1")
        for user in ("ada", "grace")
        for channel in (first, second)
    ]
    assert [response.status for response in posted] == [201] * 4
    assert not [response for response in posted if "idempotency-replayed" in response.headers]


def test_a_key_is_forgotten_after_a_day(chat: Chat) -> None:
    """A key is valid for 24 hours; later it is new, whether or not its item has been deleted."""
    channel = chat.channel()
    post(chat, channel, key="key-1")
    chat.clock.ms += 24 * 3_600_000
    assert post(chat, channel, key="key-1").headers["idempotency-replayed"] == "true"
    chat.clock.ms += CLOCKS_APART_MS + 1_000
    assert post(chat, channel, key="key-1").json["seq"] == 2


def test_a_replay_needs_no_right_to_post_any_more(chat: Chat) -> None:
    """Whether the message came through can be found out after the channel was archived."""
    channel = chat.channel()
    first = post(chat, channel, key="key-1")
    chat.archive(channel)
    assert post(chat, channel, key="key-1").body == first.body


def test_a_replay_needs_membership(chat: Chat) -> None:
    """A user who left sees nothing of the channel, not even their own messages."""
    channel = chat.channel("grace", kind="private")
    post(chat, channel, user="grace", key="key-1")
    chat.remove(channel, "grace")
    response = post(chat, channel, user="grace", key="key-1")
    assert (response.status, response.code) == (404, "channel_not_found")


# --- rate ---


def rate(response: Response) -> tuple[int, int, int]:
    """The limit, remaining and reset headers of a response."""
    limit, remaining, reset = (
        response.headers[f"ratelimit-{name}"] for name in ("limit", "remaining", "reset")
    )
    return int(limit), int(remaining), int(reset)


def test_the_answer_says_what_remains(chat: Chat) -> None:
    """Each message takes one of the burst; a fifth of a second gives one back."""
    channel = chat.channel()
    assert rate(post(chat, channel)) == (25, 24, 1)
    assert rate(post(chat, channel)) == (25, 23, 1)
    chat.clock.ms += 200
    assert rate(post(chat, channel)) == (25, 23, 1)
    assert rate(post(chat, channel, batch("a", "b", "c"))) == (25, 20, 1)


def test_too_many_messages_are_refused_until_the_time_named(chat: Chat) -> None:
    """The 26th message at once is 429, posts nothing, and passes after `Retry-After`."""
    channel = chat.channel()
    for _ in range(25):
        assert post(chat, channel).status == 201
    refused = post(chat, channel)
    assert (refused.status, refused.code, refused.json["retryable"]) == (429, "rate_limited", True)
    assert rate(refused) == (25, 0, 5)
    assert chat.seen(channel)["last_seq"] == 25
    chat.clock.ms += 1_000 * int(refused.headers["retry-after"])
    assert post(chat, channel).status == 201


def test_a_refused_message_costs_nothing(chat: Chat) -> None:
    """Trying again and again does not prolong the wait."""
    channel = chat.channel()
    post(chat, channel, batch(*"x" * 25))
    for _ in range(5):
        assert post(chat, channel).headers["retry-after"] == "1"
    chat.clock.ms += 200
    assert post(chat, channel).status == 201


def test_a_replay_costs_nothing(chat: Chat) -> None:
    """A repeated request is neither limited nor given rate headers."""
    channel = chat.channel()
    post(chat, channel, key="key-1")
    post(chat, channel, batch(*"x" * 24))
    again = post(chat, channel, key="key-1")
    assert again.status == 201
    assert "ratelimit-limit" not in again.headers


def test_the_largest_batch_passes_at_once_by_default(chat: Chat) -> None:
    """25 messages, as the document says; then the burst is used."""
    channel = chat.channel()
    assert rate(post(chat, channel, batch(*"x" * 25))) == (25, 0, 5)
    assert post(chat, channel).status == 429
    chat.clock.ms += 5_000
    assert post(chat, channel, batch(*"x" * 25)).status == 201


def assert_too_large(response: Response, most: int) -> None:
    """A refusal that says how many are possible, and not to wait."""
    assert (response.status, response.code, response.json["retryable"]) == (422, "batch_too_large", False)
    assert "retry-after" not in response.headers
    assert response.headers["ratelimit-limit"] == str(most)
    [error] = response.json["errors"]
    assert error["field"] == "body.messages"
    assert error["detail"].startswith(f"You can post at most {most} message")


def test_a_batch_above_the_burst_is_refused_for_good(chat: Chat) -> None:
    """422 rather than 429, as waiting does not help; it posts and costs nothing, and a smaller one passes."""
    settings = replace(chat.api.services.settings, rate_burst=3)
    chat.api.services = replace(chat.api.services, settings=settings)
    channel = chat.channel()
    for _ in range(2):
        assert_too_large(post(chat, channel, batch(*"x" * 4)), 3)
        chat.clock.ms += 60_000
    assert chat.seen(channel)["last_seq"] == 0
    assert rate(post(chat, channel, batch(*"x" * 3))) == (3, 0, 1)


def test_slow_mode_is_not_escaped_by_a_batch(chat: Chat) -> None:
    """A member posts one message at once, a batch of one is such; owners and moderators are not bound."""
    channel = str(chat.create(slow_mode=30, members=["grace", "linus"])["id"])
    chat.put_member(channel, "linus", role="moderator")
    for count in (2, 25):
        assert_too_large(post(chat, channel, batch(*"x" * count), user="grace"), 1)
    assert chat.seen(channel)["last_seq"] == 0
    assert post(chat, channel, batch("x"), user="grace").status == 201
    assert post(chat, channel, user="grace").headers["retry-after"] == "30"
    for user in ("ada", "linus"):
        assert post(chat, channel, batch(*"x" * 25), user=user).status == 201


def test_a_batch_posted_before_slow_mode_is_replayed(chat: Chat) -> None:
    """A replay posts nothing, so that no limit of now refuses it; a new batch is refused under the same limit."""
    channel = chat.channel("grace")
    first = post(chat, channel, batch("a", "b"), user="grace", key="key-1")
    assert chat.api("PATCH", f"/v1/channels/{channel}", body={"slow_mode": 30}).status == 200
    again = post(chat, channel, batch("a", "b"), user="grace", key="key-1")
    assert (again.status, again.body) == (201, first.body)
    assert_too_large(post(chat, channel, batch("a", "b"), user="grace", key="key-2"), 1)


def test_each_user_and_channel_has_a_rate_of_its_own(chat: Chat) -> None:
    """The rate limit holds for one user in one channel."""
    first, second = chat.channel("grace"), chat.channel("grace")
    post(chat, first, batch(*"x" * 25))
    assert post(chat, first).status == 429
    assert post(chat, first, user="grace").status == 201
    assert post(chat, second).status == 201


def test_slow_mode_spaces_members_out(chat: Chat) -> None:
    """With `slow_mode` a member waits between messages; owner and moderators do not."""
    channel = chat.create(slow_mode=30, members=["grace", "linus"])["id"]
    chat.put_member(channel, "linus", role="moderator")
    assert post(chat, channel, user="grace").status == 201
    refused = post(chat, channel, user="grace")
    assert (refused.status, refused.headers["retry-after"]) == (429, "30")
    assert rate(refused)[0] == 1
    for user in ("ada", "linus"):
        assert [post(chat, channel, user=user).status for _ in range(2)] == [201, 201]
    chat.clock.ms += 30_000
    assert post(chat, channel, user="grace").status == 201


# --- rights ---


def test_an_archived_channel_takes_no_message(chat: Chat) -> None:
    """An archived channel can be read, not written."""
    channel = chat.channel()
    chat.archive(channel)
    response = post(chat, channel)
    assert (response.status, response.code) == (409, "channel_archived")


def test_a_user_who_has_not_joined_cannot_post(chat: Chat) -> None:
    """Posting to a public channel without joining it is refused."""
    response = post(chat, chat.channel(), user="grace")
    assert (response.status, response.code) == (403, "not_a_member")


def test_the_caller_alone_is_the_sender(chat: Chat) -> None:
    """No header, parameter or field can set the sender."""
    channel = chat.channel("grace")
    headers = {"x-user-id": "grace", "authorization": "Bearer grace", "cookie": "user=grace"}
    response = chat.api("POST", messages(channel), body={"text": "x"}, headers=headers)
    assert response.json["sender"] == "ada"
    asked = chat.api("POST", messages(channel), body={"text": "x"}, query={"user": "grace"})
    assert asked.status == 422
    assert post(chat, channel, {"text": "x", "sender": "grace"}).status == 422
