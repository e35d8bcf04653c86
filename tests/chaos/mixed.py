"""A mixed load on one stack: users post, poll and turn pages in a few channels, before an onlooker's eyes."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from local.demo.client import Client
from local.running import RunningStack
from tests.chaos.checker import Checker
from tests.chaos.open_loop import Call

CHANNELS: Final = 8
USERS: Final = 8
LIMIT: Final = 50
POSTS: Final = 0.2
POLLS: Final = 0.6
"""Shares of the requests; the rest turns pages."""


class Mixed:
    """Makes requests by their number, and checks each response.

    Args:
        stack: where they go.
        seed: decides them.
    """

    def __init__(self, stack: RunningStack, seed: int) -> None:
        self.checker = Checker()
        self.stale = 0
        """Pages that stood in while the storage did not answer."""
        self._stack = stack
        self._seed = seed
        self._users = [f"user-{number}" for number in range(USERS)]
        self._tokens = {user: stack.token_for(user) for user in self._users}
        self._lock = threading.Lock()
        with stack.client(tries=20) as client:
            self.channels = [self._found(client, number) for number in range(CHANNELS)]

    def _found(self, client: Client, number: int) -> str:
        body = {"kind": "private", "name": f"channel {number}", "members": self._users[1:]}
        key = {"Idempotency-Key": f"{self._seed}-channel-{number}"}
        response = client.call("POST", "/v1/channels", self._users[0], body=body, headers=key)
        if response.status != HTTPStatus.CREATED:
            raise RuntimeError(f"no channel could be made: {response.status}")
        return str(response.json["id"])

    def call(self, number: int) -> Call:
        """The request of this number."""
        rng = random.Random(f"{self._seed} {number}")
        channel, user = rng.choice(self.channels), rng.choice(self._users)
        draw = rng.random()
        if draw < POSTS:
            return self.post(channel, user, f"message {number} 🐦", f"{self._seed}-key-{number}")
        end = self.checker.end(channel)
        after = max(0, end - rng.randint(0, 20)) if draw < POSTS + POLLS else rng.randint(0, end)
        return self.page(channel, user, after)

    def post(self, channel: str, user: str, text: str, key: str) -> Call:
        """A message."""
        self.checker.sends(channel, text)

        def heard(status: int, body: bytes, _: Mapping[str, str]) -> None:
            if status == HTTPStatus.CREATED:
                self.checker.posted(channel, text, json.loads(body))

        headers = self._headers(user) | {"Content-Type": "application/json", "Idempotency-Key": key}
        body = json.dumps({"text": text}).encode()
        return Call("POST", f"/v1/channels/{channel}/messages", headers, body, heard)

    def page(self, channel: str, user: str, after: int) -> Call:
        """A page after a position."""
        end = self.checker.end(channel)

        def heard(status: int, body: bytes, headers: Mapping[str, str]) -> None:
            if status != HTTPStatus.OK:
                return
            said = json.loads(body)
            if headers.get("x-cache") == "stale":
                self.stale += 1
                self.checker.stale_page(channel, said)
            else:
                self.checker.page(channel, after, LIMIT, said, end)

        path = f"/v1/channels/{channel}/messages?after={after}&limit={LIMIT}"
        return Call("GET", path, self._headers(user), None, heard)

    def read_all(self) -> None:
        """Reads every channel to its end, against all that was acknowledged."""
        with self._stack.client(tries=30) as client:
            for channel in self.channels:
                self._read(client, channel)

    def _read(self, client: Client, channel: str) -> None:
        messages: list[dict[str, Any]] = []
        position, end = 0, 1
        while position < end:
            path = f"/v1/channels/{channel}/messages?after={position}&limit=100"
            said = client.call("GET", path, self._users[0]).json
            messages += said["messages"]
            if said["last_seq"] == position:
                break  # The rest is not acknowledged yet.
            position, end = said["last_seq"], said["channel_last_seq"]
        self.checker.audit(channel, messages)

    def _headers(self, user: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._tokens[user]}"}
