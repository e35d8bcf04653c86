"""Reports of messages, and the moderators' queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.moderation import MAX_OPEN_REPORTS, Report
from tests.functions.chat import Chat, messages

if TYPE_CHECKING:
    from shared.storage.memory import MemoryStore
    from tests.api import Api, Response
    from tests.functions.chat import Clock

ABUSE = {"reason": "abuse", "text": "Insults me"}


@pytest.fixture
def chat(api: Api, clock: Clock) -> Chat:
    """Users of the API."""
    return Chat(api, clock)


def report(chat: Chat, message: dict[str, Any], user: str = "grace", **body: Any) -> Response:
    """The response to a report."""
    path = f"{messages(message['id'].split('-')[0])}/{message['id']}/reports"
    return chat.api("POST", path, user=user, body=body or ABUSE)


def queue(chat: Chat, channel: str, user: str = "ada", **query: Any) -> dict[str, Any]:
    """A page of reports."""
    response = chat.api("GET", f"/v1/channels/{channel}/reports", user=user, query=query)
    assert response.status == 200, response.body
    return dict(response.json)


def close(
    chat: Chat, channel: str, report_id: str, user: str = "ada", resolution: str = "Deleted"
) -> Response:
    """The response to closing a report."""
    body = {"status": "closed", "resolution": resolution}
    return chat.api("PUT", f"/v1/channels/{channel}/reports/{report_id}", user=user, body=body)


def test_a_report_is_in_the_queue_with_its_message(chat: Chat) -> None:
    """The message is as it is now, and the author sees no trace of the report."""
    channel = chat.channel("eve", "grace")
    message = chat.post(channel, "Bad words", "eve")
    before = chat.page(channel, "eve")
    made = report(chat, message)
    assert made.status == 201
    assert made.json == {
        "id": made.json["id"],
        "message_id": message["id"],
        **ABUSE,
        "reported_at": made.json["reported_at"],
    }
    assert chat.page(channel, "eve") == before
    [found] = queue(chat, channel)["reports"]
    opened = {"status": "open", "reporter": "grace", "closed_by": None, "closed_at": None, "resolution": None}
    assert found == made.json | opened | {"message": message}
    chat.api("DELETE", f"{messages(channel)}/{message['id']}")
    [found] = queue(chat, channel)["reports"]
    assert (found["message"]["deleted"], found["message"]["text"]) == (True, "")


def test_a_report_repeated_is_the_first_one(chat: Chat) -> None:
    """200, also when it is closed, which the reporter is not told; another user makes another."""
    channel = chat.channel("eve", "grace")
    message = chat.post(channel, "Bad words", "eve")
    first = report(chat, message)
    chat.clock.ms += 1_000
    again = report(chat, message, reason="spam")
    assert (again.status, again.json) == (200, first.json)
    assert close(chat, channel, first.json["id"]).status == 200
    assert (report(chat, message).status, report(chat, message).json) == (200, first.json)
    assert queue(chat, channel)["reports"] == []
    assert report(chat, message, "ada", reason="other").json["text"] is None


def test_the_queue_is_in_order_of_time(chat: Chat) -> None:
    """Oldest first and page by page; closed ones apart."""
    channel = chat.channel("grace")
    made = [report(chat, chat.post(channel, str(number))).json["id"] for number in range(4)]
    closed = close(chat, channel, made[1]).json
    assert (closed["status"], closed["closed_by"], closed["resolution"]) == ("closed", "ada", "Deleted")
    first = queue(chat, channel, limit=2)
    assert [each["id"] for each in first["reports"]] == [made[0], made[2]]
    rest = queue(chat, channel, limit=2, cursor=first["next_cursor"])
    assert ([each["id"] for each in rest["reports"]], rest["has_more"]) == ([made[3]], False)
    assert queue(chat, channel, status="closed")["reports"] == [closed]
    path = f"/v1/channels/{channel}/reports"
    assert chat.api("GET", path, query={"cursor": "WzFd"}).code == "invalid_cursor"


def test_a_report_is_closed_once(chat: Chat) -> None:
    """Repeated it is as it was; with another resolution it is refused; so is an id that is not there."""
    channel = chat.channel("grace")
    made = report(chat, chat.post(channel)).json["id"]
    first = close(chat, channel, made)
    chat.clock.ms += 1_000
    assert close(chat, channel, made).json == first.json
    assert (
        close(chat, channel, made, resolution="No").status,
        close(chat, channel, made, resolution="No").code,
    ) == (409, "report_closed")
    for unknown in ("0" * 16, "nothing"):
        assert (close(chat, channel, unknown).status, close(chat, channel, unknown).code) == (
            404,
            "report_not_found",
        )


def test_who_may_report_and_who_reads_reports(chat: Chat) -> None:
    """Members report, also in an archived channel; moderators and owners handle it; a direct channel has neither."""
    channel = chat.channel("grace", "linus")
    chat.put_member(channel, "linus", role="moderator")
    message = chat.post(channel)
    assert report(chat, message, "eve").code == "not_a_member"
    assert chat.api("GET", f"/v1/channels/{channel}/reports", user="grace").code == "forbidden"
    chat.archive(channel)
    made = report(chat, message).json["id"]
    assert close(chat, channel, made, "grace").code == "channel_archived"
    assert [each["id"] for each in queue(chat, channel, "linus")["reports"]] == [made]
    assert close(chat, channel, made, "linus").status == 200
    direct = chat.direct("ada", "grace")
    assert report(chat, chat.post(direct)).code == "direct_channel"
    assert chat.api("GET", f"/v1/channels/{direct}/reports").code == "direct_channel"


def test_what_is_no_message_cannot_be_reported(chat: Chat) -> None:
    """Nor without a reason, with an unknown one, or with a text that is too long."""
    channel = chat.channel("grace")
    message = chat.post(channel)
    for unknown in (f"{channel}-0000000v", "nothing"):
        response = chat.api("POST", f"{messages(channel)}/{unknown}/reports", user="grace", body=ABUSE)
        assert (response.status, response.code) == (404, "message_not_found")
    for body in ({"reason": "boring"}, {"text": "x"}, {"reason": "spam", "text": "x" * 501}):
        assert report(chat, message, **body).status == 422
    for resolution in ("", "x" * 501):
        assert close(chat, channel, "0" * 16, resolution=resolution).status == 422


def test_open_reports_are_limited(chat: Chat, store: MemoryStore) -> None:
    """One more than the channel may have is refused, until one is closed."""
    channel = chat.channel("grace")
    message = chat.post(channel)
    for number in range(MAX_OPEN_REPORTS):
        made = Report(channel, f"{number:016}", f"{channel}-{number:08}", "eve", "spam", "", 1)
        store.add_report(made, MAX_OPEN_REPORTS)
    assert (report(chat, message).status, report(chat, message).code) == (409, "too_many_reports")
    assert close(chat, channel, "0" * 16).json["message"] is None
    assert report(chat, message).status == 201
