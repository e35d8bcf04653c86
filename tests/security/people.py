"""A channel with one person in each part, and what each of them may try there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.functions.chat import Chat, messages

if TYPE_CHECKING:
    from tests.api import Response

OUTSIDER: Final = "eve"
PAST_MEMBERSHIP: Final = "frances"
MEMBER: Final = "mary"
MODERATOR: Final = "grace"
OWNER: Final = "ada"
OTHER_MEMBER: Final = "noor"
OTHER_MODERATOR: Final = "linus"
NEWCOMER: Final = "olga"
PEOPLE: Final[dict[str, str]] = {
    "outsider": OUTSIDER,
    "former member": PAST_MEMBERSHIP,
    "member": MEMBER,
    "moderator": MODERATOR,
    "owner": OWNER,
    "owner of an archived one": OWNER,
}
"""Who the callers of ``docs/authorization.yaml`` are."""
KEY: Final = "a-key-that-was-used"
TEXT: Final = f"said while still in, <@{OWNER}> <@{MODERATOR}> <@{MEMBER}>"
EMOJI: Final = "%F0%9F%91%8D"
"""A thumb, percent-encoded."""
FIRST: Final = "/v1/channels/{c}/messages/{c}-00000001"


def channel_of(chat: Chat, kind: str, *, archived: bool = False) -> str:
    """A channel with a user in each role; message and reply are the past member's, in a direct one the owner's."""
    if kind in {"direct", "group"}:
        channel = chat.direct(OWNER, MEMBER) if kind == "direct" else chat.group(OWNER, MEMBER, OTHER_MEMBER)
        chat.post(channel, TEXT)
        _reply(chat, channel, OWNER)
        return channel
    channel = chat.channel(MEMBER, OTHER_MEMBER, PAST_MEMBERSHIP, kind=kind)
    for moderator in (MODERATOR, OTHER_MODERATOR):
        assert chat.put_member(channel, moderator, role="moderator").status == 201
    posted = chat.api(
        "POST", messages(channel), user=PAST_MEMBERSHIP, body={"text": TEXT}, headers={"idempotency-key": KEY}
    )
    assert posted.status == 201
    _reply(chat, channel, PAST_MEMBERSHIP)
    assert chat.remove(channel, PAST_MEMBERSHIP).status == 204
    if archived:
        assert chat.archive(channel).status == 204
    return channel


def _reply(chat: Chat, channel: str, user: str) -> None:
    path = f"{FIRST.replace('{c}', channel)}/replies"
    assert chat.api("POST", path, user=user, body={"text": TEXT}).status == 201


@dataclass(frozen=True)
class Attempt:
    """The request of an act of ``docs/authorization.yaml``; ``{c}`` in the path is the channel."""

    operation: str
    method: str
    path: str
    body: Any = None
    query: dict[str, Any] | None = None
    lists: bool = False
    """Whether what counts is what the answer lists."""

    def by(self, chat: Chat, user: str, channel: str, **rest: Any) -> Response:
        """The response that a user gets."""
        path = self.path.replace("{c}", channel)
        return chat.api(self.method, path, user=user, **{"body": self.body, "query": self.query} | rest)


ATTEMPTS: Final[dict[str, Attempt]] = {
    "list one's own": Attempt("list_channels", "GET", "/v1/channels", lists=True),
    "list public ones to join": Attempt(
        "list_channels", "GET", "/v1/channels", query={"scope": "public"}, lists=True
    ),
    "make another": Attempt("create_channel", "POST", "/v1/channels", {"kind": "private", "name": "den"}),
    "look at it": Attempt("get_channel", "GET", "/v1/channels/{c}"),
    "change its topic": Attempt("update_channel", "PATCH", "/v1/channels/{c}", {"topic": "new"}),
    "change its retention": Attempt("update_channel", "PATCH", "/v1/channels/{c}", {"retention_days": 7}),
    "archive it": Attempt("archive_channel", "DELETE", "/v1/channels/{c}"),
    "unarchive it": Attempt("set_archived", "PUT", "/v1/channels/{c}/archived", {"archived": False}),
    "read a page": Attempt("fetch_messages", "GET", "/v1/channels/{c}/messages"),
    "read a message": Attempt("fetch_message", "GET", FIRST),
    "read changes": Attempt("fetch_changes", "GET", "/v1/channels/{c}/changes"),
    "read a message's versions": Attempt("fetch_versions", "GET", f"{FIRST}/versions"),
    "list who reacted": Attempt("fetch_reactions", "GET", f"{FIRST}/reactions", query={"emoji": ":ship_it:"}),
    "list pins": Attempt("fetch_pins", "GET", "/v1/channels/{c}/pins"),
    "list one's mentions": Attempt("list_mentions", "GET", "/v1/mentions", lists=True),
    "read replies": Attempt("fetch_replies", "GET", f"{FIRST}/replies"),
    "read changes of replies": Attempt("fetch_reply_changes", "GET", f"{FIRST}/replies/changes"),
    "list one's threads": Attempt("list_threads", "GET", "/v1/threads", lists=True),
    "edit a message": Attempt("edit_message", "PATCH", FIRST, {"text": "edited"}),
    "delete a message": Attempt("delete_message", "DELETE", FIRST),
    "react": Attempt("add_reaction", "PUT", f"{FIRST}/reactions/{EMOJI}/me"),
    "take a reaction back": Attempt("remove_reaction", "DELETE", f"{FIRST}/reactions/{EMOJI}/me"),
    "pin a message": Attempt("pin_message", "PUT", f"{FIRST}/pin"),
    "unpin a message": Attempt("unpin_message", "DELETE", f"{FIRST}/pin"),
    "post": Attempt("post_message", "POST", "/v1/channels/{c}/messages", {"text": "Hello"}),
    "reply": Attempt("post_reply", "POST", f"{FIRST}/replies", {"text": "Hello"}),
    "mark a thread as read": Attempt("mark_thread_read", "PUT", f"{FIRST}/thread/read", {"last_read_seq": 1}),
    "follow a thread": Attempt("follow_thread", "PUT", f"{FIRST}/thread/follow"),
    "unfollow a thread": Attempt("unfollow_thread", "DELETE", f"{FIRST}/thread/follow"),
    "mark as read": Attempt("mark_read", "PUT", "/v1/channels/{c}/read", {"last_read_seq": 1}),
    "mute it": Attempt("set_muted", "PUT", "/v1/channels/{c}/muted", {"muted": True}),
    "list members": Attempt("list_members", "GET", "/v1/channels/{c}/members"),
    "see what members have read": Attempt("fetch_reads", "GET", "/v1/channels/{c}/reads"),
    "join": Attempt("put_member", "PUT", "/v1/channels/{c}/members/me"),
    "bring somebody in": Attempt("put_member", "PUT", f"/v1/channels/{{c}}/members/{NEWCOMER}"),
    "make oneself an owner": Attempt("put_member", "PUT", "/v1/channels/{c}/members/me", {"role": "owner"}),
    "make a member a moderator": Attempt(
        "put_member", "PUT", f"/v1/channels/{{c}}/members/{OTHER_MEMBER}", {"role": "moderator"}
    ),
    "leave": Attempt("remove_member", "DELETE", "/v1/channels/{c}/members/me"),
    "remove a member": Attempt("remove_member", "DELETE", f"/v1/channels/{{c}}/members/{OTHER_MEMBER}"),
    "remove a moderator": Attempt("remove_member", "DELETE", f"/v1/channels/{{c}}/members/{OTHER_MODERATOR}"),
    "get a ticket for the WebSocket": Attempt("issue_ticket", "POST", "/v1/realtime/tickets"),
    "list whom one blocks": Attempt("list_blocks", "GET", "/v1/blocks"),
    "block another member": Attempt("block_user", "PUT", f"/v1/blocks/{OTHER_MEMBER}"),
    "unblock another member": Attempt("unblock_user", "DELETE", f"/v1/blocks/{OTHER_MEMBER}"),
    "list bans": Attempt("list_bans", "GET", "/v1/channels/{c}/bans"),
    "ban a member": Attempt("ban_user", "PUT", f"/v1/channels/{{c}}/bans/{OTHER_MEMBER}"),
    "ban a moderator": Attempt("ban_user", "PUT", f"/v1/channels/{{c}}/bans/{OTHER_MODERATOR}"),
    "ban somebody outside": Attempt("ban_user", "PUT", f"/v1/channels/{{c}}/bans/{NEWCOMER}"),
    "lift a ban": Attempt("unban_user", "DELETE", f"/v1/channels/{{c}}/bans/{NEWCOMER}"),
    "report a message": Attempt("report_message", "POST", f"{FIRST}/reports", {"reason": "spam"}),
    "list reports": Attempt("list_reports", "GET", "/v1/channels/{c}/reports"),
    "close a report": Attempt(
        "close_report",
        "PUT",
        f"/v1/channels/{{c}}/reports/{'0' * 16}",
        {"status": "closed", "resolution": "No spam"},
    ),
    "ask whether all is well": Attempt("check_health", "GET", "/v1/healthz"),
    "ask so without a body": Attempt("probe_health", "HEAD", "/v1/healthz"),
}
IN_A_CHANNEL: Final = {name: each for name, each in ATTEMPTS.items() if "{c}" in each.path}


def outcome(attempt: Attempt, response: Response, channel: str) -> str:
    """A response in the form of a cell."""
    if response.status >= 400:
        return f"{response.status} {response.code}"
    if not attempt.lists:
        return str(response.status)
    [found] = [response.json[name] for name in ("channels", "mentions", "threads") if name in response.json]
    listed = channel in {each.get("channel_id", each.get("id")) for each in found}
    return f"{response.status} {'with' if listed else 'without'} it"
