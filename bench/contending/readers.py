"""One reader: polls a channel for what is new, through Budgie's function or by its bare calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, Protocol

from bench.contending.caller import Caller
from bench.contending.shift import BUDGIE, Shift, Tally
from bench.contending.tolled import TolledClient
from functions.fetch_messages.handler import app
from shared import keys
from shared.services import Services
from shared.store import items

PAUSE_SECONDS: Final = 0.1
"""Between two polls of a reader: far more often than a client would, so that a few readers meet what many would."""
LIMIT: Final = 100

Page = tuple[int, int, list[Any] | None]


class Poller(Protocol):
    """Asks for what comes after a position."""

    def poll(self, after: int) -> Page | None:
        """First and last position, and the messages if they were parsed; None where there was no answer."""


class BudgiePoller:
    """Through the function's handler."""

    def __init__(self, services: Services, shift: Shift, tally: Tally) -> None:
        self._caller = Caller(app, services, shift, tally)

    def poll(self, after: int) -> Page | None:
        """See ``Poller``."""
        answer = self._caller.call("GET", HTTPStatus.OK, f"after={after}&limit={LIMIT}")
        if answer is None:
            return None
        page = answer.body
        return page["first_seq"], page["last_seq"], page["messages"]


class EnginePoller:
    """The vouching read and a Query; it stops before the first hole, and settles none."""

    def __init__(self, client: TolledClient, table: str, shift: Shift) -> None:
        self._client = client
        self._table = table
        self._channel = shift.channel
        self._user = shift.user

    def poll(self, after: int) -> Page | None:
        """See ``Poller``."""
        wanted = [items.head_key(self._channel), items.membership_key(self._channel, self._user)]
        self._client.call(
            "BatchGetItem",
            {
                "RequestItems": {self._table: {"Keys": wanted, "ConsistentRead": True}},
                "ReturnConsumedCapacity": "TOTAL",
            },
        )
        answer = self._client.call(
            "Query",
            {
                "TableName": self._table,
                "ConsistentRead": True,
                "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
                "ExpressionAttributeValues": {
                    ":pk": items.s(keys.channel_pk(self._channel)),
                    ":first": items.s(keys.entry_sk(after + 1)),
                    ":last": items.s(keys.entry_sk(after + LIMIT)),
                },
                "ReturnConsumedCapacity": "TOTAL",
            },
        )
        found = {keys.seq_of(item["sk"]["S"]) for item in answer["Items"]}
        last = next(seq for seq in range(after + 1, after + LIMIT + 2) if seq not in found) - 1
        return after + 1, last, None


def read(poller: Poller, shift: Shift, tally: Tally, clock: Callable[[], float] = time.monotonic) -> None:
    """Polls until the shift ends."""
    after = 0
    while clock() < shift.ends:
        page = poller.poll(after)
        if page is not None:
            tally.read.append(page)
            after = page[1]
        time.sleep(PAUSE_SECONDS)


def poller(shift: Shift, services: Services, client: TolledClient, tally: Tally) -> Poller:
    """The poller of a shift's side."""
    if shift.side == BUDGIE:
        return BudgiePoller(services, shift, tally)
    return EnginePoller(client, services.settings.table_name, shift)
