"""Tickets for the WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.bootstrap import compose
from shared.settings import Settings
from shared.use_cases.issue_ticket import is_ticket
from tests.api import SETTINGS

if TYPE_CHECKING:
    from shared.storage.memory import MemoryStore
    from tests.api import Api
    from tests.conftest import FakeClock


def test_a_ticket_lives_for_thirty_seconds(api: Api) -> None:
    """The response has a new ticket each time, the address, and when the ticket expires; nobody may store it."""
    responses = [api("POST", "/v1/realtime/tickets") for _ in range(2)]
    assert [each.status for each in responses] == [201, 201]
    assert responses[0].json["ticket"] != responses[1].json["ticket"]
    assert all(is_ticket(each.json.pop("ticket")) for each in responses)
    assert responses[0].headers["cache-control"] == "no-store"
    rest = {name: value for name, value in responses[0].json.items() if name != "ticket"}
    assert rest == {"url": SETTINGS.realtime_url, "expires_at": "2026-11-23T18:44:54.000Z"}


def test_the_storage_cannot_tell_a_ticket(api: Api, store: MemoryStore) -> None:
    """It has a hash only."""
    ticket = api("POST", "/v1/realtime/tickets").json["ticket"]
    assert ticket not in repr(vars(store))


def test_no_ticket_without_realtime(api: Api, store: MemoryStore, clock: FakeClock) -> None:
    """Where realtime is off, there is no such path."""
    api.services = compose(Settings(), store, clock.now, clock.sleep)
    response = api("POST", "/v1/realtime/tickets")
    assert (response.status, response.code) == (404, "route_not_found")
