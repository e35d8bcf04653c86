"""Removes a user from messages of others and from the change log. Pure: no I/O.

Counts stay: where a message lists the user among others who reacted, ``#erased`` takes their place.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from shared.domain.changes import Change, packed, unpacked
from shared.domain.messages import dumps, redacted, sender_of
from shared.domain.model import ERASED

_NAMES: Final = ("edited_by", "deleted_by")


def without_user(body: bytes, user_id: str) -> bytes:
    """A message of somebody else without the user: in reactions, mentions, ``edited_by``, ``deleted_by`` and its text.

    Of those who replied first the user is left out.

    Returns the same object if the message does not name the user. ``metadata`` stays as it is.
    """
    if dumps(user_id)[1:-1] not in body:
        return body
    message: dict[str, Any] = json.loads(body)
    changed = dict(message)
    changed["text"] = message["text"].replace(f"<@{user_id}>", f"<@{ERASED}>")
    for name in _NAMES:
        if message.get(name) == user_id:
            changed[name] = ERASED
    if user_id in message.get("mentions", ()):
        changed["mentions"] = [ERASED if each == user_id else each for each in message["mentions"]]
    if user_id in message.get("thread", {}).get("repliers", ()):
        repliers = [each for each in message["thread"]["repliers"] if each != user_id]
        changed["thread"] = message["thread"] | {"repliers": repliers}
    if "reactions" in message:
        changed["reactions"] = [
            each | {"users": [ERASED if user == user_id else user for user in each["users"]]}
            for each in message["reactions"]
        ]
    return body if changed == message else dumps(changed)


def without_user_in_change(change: Change, user_id: str) -> Change:
    """A change without the user. A change of the user's own message loses all text: before the change and after it.

    Returns an equal change if it does not name the user.
    """
    change = replace(change, by=ERASED) if change.by == user_id else change
    if change.body is None:
        return change
    if sender_of(change.body) == user_id:
        return replace(change, body=redacted(change.body), before=b"")
    body = without_user(change.body, user_id)
    if not change.before:
        return replace(change, body=body)
    before = unpacked(change.before, change.body)
    old = without_user(before, user_id)
    if (old, body) == (before, change.body):
        return change
    return replace(change, body=body, before=packed(old, body))
