"""Writes `events/`: for each route the event that API Gateway sends, for `sam local invoke --event`.

`python -m tools.sample_events` updates them. In the order of `SAMPLES` they work on an empty table: the channel's
id is derived from its idempotency key.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from local.gateway import events, websocket_events
from local.gateway.routing import Routes
from local.gateway.wire import Request
from local.template import load as template
from local.tokens import AUDIENCE, ISSUER
from shared.domain import keys
from shared.domain.realtime import SUBPROTOCOL

ROOT: Final = Path(__file__).resolve().parents[1]
USER: Final = "ada"
KEY: Final = "sample-channel"
CHANNEL: Final = keys.derived_channel_id("key", USER, KEY)
PATH: Final = f"/v1/channels/{CHANNEL}"
MESSAGE: Final = keys.message_id(CHANNEL, 1)
REPORT: Final = "0" * 16
"""No report's id, as these contain the time: a report is closed by the id that the list shows."""
REQUEST_ID: Final = "sample-request="
TRACE: Final = "Root=1-6b04a7a8-000000000000000000000000"
TIME: Final = ("23/Nov/2026:18:44:24 +0000", 1_795_459_464_000)


@dataclass(frozen=True)
class Sample:
    """A request by ada. Its name is that of the event in `template.yaml`, in snake case."""

    name: str
    method: str
    target: str
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    has_token: bool = True


SAMPLES: Final = (
    Sample("check_health", "GET", "/v1/healthz?deep=1", has_token=False),
    Sample("probe_health", "HEAD", "/v1/healthz", has_token=False),
    Sample(
        "create_channel",
        "POST",
        "/v1/channels",
        {"kind": "public", "name": "lobby", "topic": "Say hello"},
        {"idempotency-key": KEY},
    ),
    Sample("get_channel", "GET", PATH),
    Sample("update_channel", "PATCH", PATH, {"topic": "Welcome"}),
    Sample("put_member", "PUT", f"{PATH}/members/grace", {"role": "member"}),
    Sample("list_members", "GET", f"{PATH}/members?limit=50"),
    Sample(
        "post_message", "POST", f"{PATH}/messages", {"text": "Hello, Grace!"}, {"idempotency-key": "sample"}
    ),
    Sample("fetch_messages", "GET", f"{PATH}/messages?limit=50"),
    Sample("fetch_message", "GET", f"{PATH}/messages/{MESSAGE}"),
    Sample("edit_message", "PATCH", f"{PATH}/messages/{MESSAGE}", {"text": "Hello, Ida!"}),
    Sample("add_reaction", "PUT", f"{PATH}/messages/{MESSAGE}/reactions/%F0%9F%91%8D/me"),
    Sample("fetch_reactions", "GET", f"{PATH}/messages/{MESSAGE}/reactions?emoji=%F0%9F%91%8D"),
    Sample("remove_reaction", "DELETE", f"{PATH}/messages/{MESSAGE}/reactions/%F0%9F%91%8D/me"),
    Sample("pin_message", "PUT", f"{PATH}/messages/{MESSAGE}/pin"),
    Sample("fetch_pins", "GET", f"{PATH}/pins"),
    Sample("unpin_message", "DELETE", f"{PATH}/messages/{MESSAGE}/pin"),
    Sample("fetch_versions", "GET", f"{PATH}/messages/{MESSAGE}/versions"),
    Sample("fetch_changes", "GET", f"{PATH}/changes?after=0"),
    Sample("post_reply", "POST", f"{PATH}/messages/{MESSAGE}/replies", {"text": "Hello, Ada!"}),
    Sample("fetch_replies", "GET", f"{PATH}/messages/{MESSAGE}/replies?limit=50"),
    Sample("fetch_reply_changes", "GET", f"{PATH}/messages/{MESSAGE}/replies/changes?after=0"),
    Sample("mark_thread_read", "PUT", f"{PATH}/messages/{MESSAGE}/thread/read", {"last_read_seq": 1}),
    Sample("issue_ticket", "POST", "/v1/realtime/tickets"),
    Sample("list_threads", "GET", "/v1/threads?limit=50"),
    Sample("unfollow_thread", "DELETE", f"{PATH}/messages/{MESSAGE}/thread/follow"),
    Sample("follow_thread", "PUT", f"{PATH}/messages/{MESSAGE}/thread/follow"),
    Sample("mark_read", "PUT", f"{PATH}/read", {"last_read_seq": 1}),
    Sample("fetch_reads", "GET", f"{PATH}/reads"),
    Sample("set_muted", "PUT", f"{PATH}/muted", {"muted": True}),
    Sample("list_channels", "GET", "/v1/channels?limit=50"),
    Sample("list_mentions", "GET", "/v1/mentions?limit=50"),
    Sample("block_user", "PUT", "/v1/blocks/eve"),
    Sample("list_blocks", "GET", "/v1/blocks"),
    Sample("unblock_user", "DELETE", "/v1/blocks/eve"),
    Sample("ban_user", "PUT", f"{PATH}/bans/eve", {"reason": "Posts advertisements"}),
    Sample("list_bans", "GET", f"{PATH}/bans?limit=50"),
    Sample("unban_user", "DELETE", f"{PATH}/bans/eve"),
    Sample("report_message", "POST", f"{PATH}/messages/{MESSAGE}/reports", {"reason": "spam"}),
    Sample("list_reports", "GET", f"{PATH}/reports?status=open"),
    Sample("close_report", "PUT", f"{PATH}/reports/{REPORT}", {"status": "closed", "resolution": "No spam"}),
    Sample("delete_message", "DELETE", f"{PATH}/messages/{MESSAGE}"),
    Sample("remove_member", "DELETE", f"{PATH}/members/grace"),
    Sample("archive_channel", "DELETE", PATH),
    Sample("set_archived", "PUT", f"{PATH}/archived", {"archived": False}),
)


def event(sample: Sample, routes: Routes) -> dict[str, Any]:
    """The event of a sample, with fixed times and ids.

    Raises:
        LookupError: the template has no route for it.
    """
    body = b"" if sample.body is None else json.dumps(sample.body).encode()
    headers = {
        "host": "api.example.com",
        "user-agent": "curl/8.5.0",
        "x-amzn-trace-id": TRACE,
    } | sample.headers
    if body:
        headers["content-type"] = "application/json"
    request = Request(
        sample.method, sample.target, headers=tuple(headers.items()), body=body, source_ip="192.0.2.1"
    )
    matched = routes.match(sample.method, request.path)
    if matched is None:
        raise LookupError(sample.name)
    claims = {"sub": USER, "iss": ISSUER, "aud": AUDIENCE} if sample.has_token else None
    made = events.build(request, *matched, request_id=REQUEST_ID, claims=claims, port=443)
    made["headers"]["x-forwarded-proto"] = "https"
    made["requestContext"]["time"], made["requestContext"]["timeEpoch"] = TIME
    return made


def frame_events() -> dict[str, dict[str, Any]]:
    """The WebSocket API's events, by name. The ticket is made up: a real one is in the response of `issue_ticket`."""
    client = websocket_events.Client("sample-connection=", TIME[1], "api.example.com", "192.0.2.1", "sample")
    headers = (("host", "api.example.com"), ("sec-websocket-protocol", f"{SUBPROTOCOL}, {'0' * 32}"))
    handshake = Request("GET", "/v1", headers=headers, body=b"", source_ip="192.0.2.1")
    ping = json.dumps({"v": 1, "type": "ping"})
    made = {
        "open_connection": websocket_events.connect(client, handshake, REQUEST_ID, 443),
        "receive_frame": websocket_events.message(client, ping, REQUEST_ID, encoded=False),
        "close_connection": websocket_events.disconnect(client, REQUEST_ID, 1000, ""),
    }
    for each in made.values():
        context = each["requestContext"]
        context["requestTime"], context["requestTimeEpoch"] = TIME
        if "messageId" in context:
            context["messageId"] = REQUEST_ID
    return made


def rendered() -> dict[str, str]:
    """The text of each file of `events/`, by name."""
    routes = Routes(template.load(ROOT / "template.yaml", template.WHOLE).routes)
    made = {sample.name: event(sample, routes) for sample in SAMPLES} | frame_events()
    return {f"{name}.json": json.dumps(each, indent=2) + "\n" for name, each in made.items()}


def write(directory: Path) -> None:
    """Writes all of them."""
    directory.mkdir(exist_ok=True)
    for name, text in rendered().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(ROOT / "events")
