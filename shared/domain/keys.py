"""Keys, ids and cursors, and their inverses. Pure: no I/O, no clock.

A log is a channel's or a thread's. A thread's log id is the id of its root message, so the id of a reply tells its
thread, and the id of a thread its channel.

Layout of the one table (partition key ``pk``, sort key ``sk``):

==================  ================  ======================  ================================================
item                pk                sk                      written by
==================  ================  ======================  ================================================
head                ``C#<log>``       ``HEAD``                creating, posting to, changing a channel; replying
listing             ``C#<channel>``   ``PUBLIC``              creating, renaming, (un)archiving a public one
entry               ``C#<log>``       ``E#<seq, 12 digits>``  posting; settling a hole; changing a message
gap                 ``C#<log>``       ``G#<seq, 12 digits>``  settling a hole with a void; deleting a message
change              ``C#<log>``       ``X#<rev, 12 digits>``  editing, deleting, reacting, pinning, replying
reaction            ``C#<log>``       ``R#<seq>#<emoji>#…``   reacting after the first 20 users; ends with the user
pins                ``C#<channel>``   ``PINS``                pinning
idempotency record  ``C#<log>``       ``I#<user>#<key>``      posting with an ``Idempotency-Key``
key use             ``C#<hash>``      ``KEY``                 creating a channel with an ``Idempotency-Key``
membership          ``U#<user>``      ``C#<channel>``         joining, posting, marking as read
past membership     ``U#<user>``      ``L#<channel>``         leaving, being removed or banned (read when joining)
follow              ``F#<user>``      ``T#<log>``             replying, being named in a reply, following a thread
block               ``U#<user>``      ``B#<other user>``      blocking a user
blocker             ``U#<user>``      ``V#<other user>``      being blocked by a user
ban                 ``C#<channel>``   ``B#<user>``            banning a user from the channel
report              ``C#<channel>``   ``P#<status>#<id>``     reporting a message; closing a report
open reports        ``C#<channel>``   ``REPORTS``             reporting a message; closing a report
report made         ``U#<user>``      ``P#<message id>``      reporting a message
watch               ``C#<channel>``   ``W#<user>#<conn…>#…``  watching a channel, or (with its log id) a thread
connection          ``N#<conn…>``     ``CONNECTION``          connecting, watching; deleted by TTL
user's connection   ``O#<user>``      ``N#<conn…>``           connecting; deleted by TTL
ticket              ``N#<hash>``      ``TICKET``              asking for a ticket, connecting; deleted by TTL
spent units         ``B#<user>``      ``M#<minute>``          reading a long list; deleted by TTL
==================  ================  ======================  ================================================
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from typing import Final
from urllib.parse import quote

from shared.domain.model import MAX_NAME
from shared.domain.text import UNFIT_FOR_NAMES, folded, is_visible

SEQ_DIGITS: Final = 12
MAX_SEQ: Final = 10**SEQ_DIGITS - 1
HEAD_SK: Final = "HEAD"
LISTING_SK: Final = "PUBLIC"
KEY_USE_SK: Final = "KEY"
PINS_SK: Final = "PINS"
REACTIONS: Final = "R#"
"""The prefix of the sort keys of reactions that messages do not show."""
ENTRIES: Final = "E#"
CHANGES: Final = "X#"
LOGS: Final = "C#"
USERS: Final = "U#"
FOLLOWERS: Final = "F#"
"""The prefixes of the partition keys of logs, of users, and of users as followers of threads."""
MEMBERSHIPS: Final = "C#"
PAST_MEMBERSHIPS: Final = "L#"
"""The prefixes of the sort keys in a user's partition."""
BLOCKS: Final = "B#"
BLOCKERS: Final = "V#"
REPORTS_MADE: Final = "P#"
BANS: Final = "B#"
"""The prefix of the sort keys of bans, in a channel's partition."""
REPORTS_SK: Final = "REPORTS"
FOLLOWS: Final = "T#"
"""The prefix of the sort keys of followed threads."""
IDEMPOTENCY_RECORDS: Final = "I#"
"""The prefix of the sort keys of idempotency records, in a channel's partition."""
WATCHES: Final = "W#"
"""The prefix of the sort keys of watches, in a channel's partition, also of those of its threads."""
CONNECTIONS: Final = "N#"
"""The prefix of the sort keys of a user's connections."""
CONNECTION_SK: Final = "CONNECTION"
TICKET_SK: Final = "TICKET"
ID_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuv"
"""Base 32 in ASCII order, so that ids sort like the numbers that they encode."""

_CHANNEL_ID = re.compile(r"[0-9a-v]{16,26}\Z")
_REPORT_ID = re.compile(r"[0-9a-v]{16}\Z")
_MESSAGE_ID = re.compile(r"([0-9a-v]{16,26}(?:-[0-9a-v]{8})?)-([0-9a-v]{8})\Z")
# Excludes what ends or splits a path after API Gateway and Mangum have each decoded it, and "." and "..".
_STORED_USER_ID = re.compile(r"(?!\.\.?\Z)[^\x00-\x1f\x7f/?#%\\\ud800-\udfff]+\Z")
_UNFIT = re.compile(f"[{UNFIT_FOR_NAMES}]")
SEQ_CHARS: Final = 8  # the length of the position in a message id; 32**8 > MAX_SEQ
MAX_USER_ID_BYTES: Final = 128
USER_ID_RULE: Final = (
    f"1 to {MAX_USER_ID_BYTES} bytes, something visible, none of / ? # % \\ and no control, line separator, "
    "bidirectional control or U+FFFD"
)
"""The rule of ``is_user_id`` as clients read it."""
AFTER_NAME: Final = "\x1f"
"""Separates name and id; sorts before every character of a name, so that a name comes before its continuations."""
ME: Final = "me"
"""The caller's id in paths, so no user may have it as an id."""


def channel_pk(channel_id: str) -> str:
    """The partition of a channel's log."""
    return f"{LOGS}{channel_id}"


def user_pk(user_id: str) -> str:
    """The partition of a user's memberships."""
    return f"{USERS}{user_id}"


def membership_sk(channel_id: str) -> str:
    """The sort key of a membership in its user's partition."""
    return f"{MEMBERSHIPS}{channel_id}"


def head_key(channel_id: str) -> tuple[str, str]:
    """Both keys of a head."""
    return channel_pk(channel_id), HEAD_SK


def entry_key(channel_id: str, seq: int) -> tuple[str, str]:
    """Both keys of an entry."""
    return channel_pk(channel_id), entry_sk(seq)


def membership_key(log_id: str, user_id: str) -> tuple[str, str]:
    """Both keys of a membership: of a thread the one in its channel."""
    return user_pk(user_id), membership_sk(channel_of_log(log_id))


def follow_key(log_id: str, user_id: str) -> tuple[str, str]:
    """Both keys of what a user follows of a thread."""
    return follows_pk(user_id), f"{FOLLOWS}{log_id}"


def follows_pk(user_id: str) -> str:
    """The partition of the threads that a user follows: its own, as functions that write it may write no membership."""
    return f"{FOLLOWERS}{user_id}"


def past_membership_sk(channel_id: str) -> str:
    """The sort key of a past membership in its user's partition."""
    return f"{PAST_MEMBERSHIPS}{channel_id}"


def block_sk(other_id: str) -> str:
    """The sort key of a block in the partition of the user who made it."""
    return f"{BLOCKS}{other_id}"


def blocker_sk(other_id: str) -> str:
    """The sort key, in a user's partition, that names somebody who has blocked the user."""
    return f"{BLOCKERS}{other_id}"


def ban_sk(user_id: str) -> str:
    """The sort key of a ban in its channel's partition."""
    return f"{BANS}{user_id}"


def report_sk(report_id: str, *, is_open: bool) -> str:
    """The sort key of a report in its channel's partition: open ones and closed ones each in order of time."""
    return f"P#{'open' if is_open else 'closed'}#{report_id}"


def report_made_sk(message_id: str) -> str:
    """The sort key, in a user's partition, of a message that the user has reported."""
    return f"{REPORTS_MADE}{message_id}"


def budget_pk(user_id: str) -> str:
    """The partition of a user's spent read units: its own, as functions that only list may write nothing else."""
    return f"B#{user_id}"


def connection_pk(connection_id: str) -> str:
    """The partition of a connection, or of a ticket by its hash."""
    return f"N#{connection_id}"


def connections_pk(user_id: str) -> str:
    """The partition of a user's connections: its own, as functions that write it may write no membership."""
    return f"O#{user_id}"


def user_connection_sk(connection_id: str) -> str:
    """The sort key of a connection in its user's partition."""
    return f"{CONNECTIONS}{connection_id}"


def watch_sk(user_id: str, connection_id: str, log_id: str) -> str:
    """The sort key of a watch in its channel's partition; no part contains a ``#``."""
    return f"{WATCHES}{user_id}#{connection_id}#{log_id}"


def watches_of(user_id: str | None) -> str:
    """How the sort keys of a user's watches begin; None for those of all users."""
    return WATCHES if user_id is None else f"{WATCHES}{user_id}#"


def watch_of(sk: str) -> tuple[str, str, str]:
    """User, connection and log id in a watch's sort key.

    Raises:
        ValueError: it is no such key.
    """
    _, user_id, connection_id, log_id = sk.split("#")
    return user_id, connection_id, log_id


def minute_sk(minute: int) -> str:
    """The sort key of the units spent in a minute (minutes since 1970)."""
    return f"M#{minute}"


def entry_sk(seq: int) -> str:
    """The sort key of an entry; sorts like its position, for ``0 <= seq <= MAX_SEQ``."""
    return f"{ENTRIES}{seq:0{SEQ_DIGITS}d}"


def gap_sk(seq: int) -> str:
    """The sort key of a gap; sorts like its position."""
    return f"G#{seq:0{SEQ_DIGITS}d}"


def change_sk(rev: int) -> str:
    """The sort key of a change: sorts as its number does."""
    return f"{CHANGES}{rev:0{SEQ_DIGITS}d}"


def reactions_sk(seq: int, emoji: str) -> str:
    """How the sort keys of the reactions with an emoji begin, of those that the message does not show."""
    return f"{REACTIONS}{seq:0{SEQ_DIGITS}d}#{emoji}#"


def reactions_range(first: int, last: int) -> tuple[str, str]:
    """Two sort keys; between them are the reactions to the messages at these positions, both included."""
    return f"{REACTIONS}{first:0{SEQ_DIGITS}d}#", f"{REACTIONS}{last:0{SEQ_DIGITS}d}#\U0010ffff"


def idempotency_record_sk(user_id: str, key: str) -> str:
    """The sort key of an idempotency record; unambiguous whatever the user id and key contain."""
    return f"{IDEMPOTENCY_RECORDS}{quote(user_id, safe='')}#{key}"


def channel_state_keys(
    log_id: str, user_id: str, key: str | None, *, with_follow: bool = True
) -> list[tuple[str, str]]:
    """The keys of a channel state's items: head, membership, and the idempotency record of ``key`` if one is given.

    Of a thread also its own head, its root, and ``with_follow`` what the user follows of it.
    """
    channel_id = channel_of_log(log_id)
    found = [head_key(channel_id), membership_key(channel_id, user_id)]
    root = root_of(log_id)
    if root is not None:
        found += [head_key(log_id), entry_key(*root)]
        found += [follow_key(log_id, user_id)] if with_follow else []
    return found if key is None else [*found, (channel_pk(log_id), idempotency_record_sk(user_id, key))]


def public_name(name: str, channel_id: str) -> str:
    """The sort key of the index of public channels: the whole name without case, shorter names first, then the id.

    At most 507 bytes; DynamoDB allows 1,024.
    """
    return f"{folded(name)}{AFTER_NAME}{channel_id}"


def is_public_name(text: str, channel_id: str) -> bool:
    """Whether this may be a channel's sort key in the index; also accepts the old form, 16 characters and the id."""
    for separator, longest in ((AFTER_NAME, 3 * MAX_NAME), ("#", 16)):
        if text.endswith(f"{separator}{channel_id}"):
            return len(text) - len(separator) - len(channel_id) <= longest
    return False


def channel_of(key: str) -> str:
    """The channel id in a ``C#…`` or ``L#…`` key, or the log id in a ``C#…`` or ``T#…`` key."""
    return key[2:]


def user_of(pk: str) -> str:
    """The user id in a ``U#…`` or ``F#…`` key."""
    return pk[2:]


def seq_of(sk: str) -> int:
    """The position in an entry's sort key."""
    return int(sk[2:])


def is_channel_id(text: str) -> bool:
    """Whether the text has the form of a channel id."""
    return _CHANNEL_ID.match(text) is not None


def is_user_id(text: str) -> bool:
    """Whether the text is a valid user id, see ``USER_ID_RULE``; ``.`` and ``..`` are not."""
    return is_stored_user_id(text) and not _UNFIT.search(text) and is_visible(text)


def is_stored_user_id(text: str) -> bool:
    """Whether the table may have this user id: also accepts ids from before all rules of ``is_user_id`` applied.

    For cursors, which contain the id of a page's last user, and for operators, who export and erase all stored data.
    """
    return _STORED_USER_ID.match(text) is not None and len(text.encode()) <= MAX_USER_ID_BYTES


def may_call(user_id: str) -> bool:
    """Whether a token's ``sub`` may use the API: a valid user id other than ``ME``."""
    return is_user_id(user_id) and user_id != ME


def new_channel_id() -> str:
    """A new channel id: 80 random bits."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(16))


def derived_channel_id(purpose: str, *parts: str) -> str:
    """A channel id derived from its parts, so that a retry finds the same channel: 130 bits of SHA-256."""
    digest = hashlib.sha256(json.dumps([purpose, *parts]).encode()).digest()
    return _base32(int.from_bytes(digest[:17], "big") >> 6, 26)


def direct_channel_id(user_id: str, other_id: str) -> str:
    """The id of the direct channel of two users."""
    return derived_channel_id("direct", *sorted([user_id, other_id]))


def new_report_id(at: int) -> str:
    """A new report's id: its time (milliseconds since 1970) and 35 random bits, so that ids sort by time."""
    return _base32(at, 9) + "".join(secrets.choice(ID_ALPHABET) for _ in range(7))


def is_report_id(text: str) -> bool:
    """Whether the text has the form of a report's id."""
    return _REPORT_ID.match(text) is not None


def message_id(log_id: str, seq: int) -> str:
    """The id of the message at a position: unique across logs, sorts by position within its log."""
    return f"{log_id}-{_base32(seq, SEQ_CHARS)}"


def seq_of_message(log_id: str, text: str) -> int | None:
    """The position in a message id of this log; None if the text is not such an id."""
    match = _MESSAGE_ID.match(text)
    if match is None or match[1] != log_id:
        return None
    seq = int(match[2], 32)
    return seq if 1 <= seq <= MAX_SEQ else None


def place_of_message(channel_id: str, text: str) -> tuple[str, int]:
    """Log and position of a message of a channel or of one of its threads.

    Position 0 of the channel, where no message ever is, if the text is no such id.
    """
    log_id = text[: -SEQ_CHARS - 1]
    if log_id == channel_id or is_thread_of(channel_id, log_id):
        return log_id, seq_of_message(log_id, text) or 0
    return channel_id, 0


def channel_of_log(log_id: str) -> str:
    """The channel of a log: of a thread, or the log's own id."""
    return log_id.partition("-")[0]


def root_of(log_id: str) -> tuple[str, int] | None:
    """Channel and position of a thread's root; None if the log is no thread."""
    channel_id = channel_of_log(log_id)
    seq = seq_of_message(channel_id, log_id)
    return None if seq is None else (channel_id, seq)


def is_thread(log_id: str) -> bool:
    """Whether a log is a thread."""
    return "-" in log_id


def is_thread_of(channel_id: str, text: str) -> bool:
    """Whether the text may be the id of a thread of this channel."""
    return seq_of_message(channel_id, text) is not None


def log_json(log_id: str) -> bytes:
    """What a page says of its log: fields of a JSON object."""
    fields = b'"channel_id":"%b"' % channel_of_log(log_id).encode()
    return fields + b',"thread_id":"%b"' % log_id.encode() if is_thread(log_id) else fields


def is_log_id(text: str) -> bool:
    """Whether the text has the form of a channel's or thread's id."""
    channel_id = channel_of_log(text)
    return is_channel_id(channel_id) and (text == channel_id or is_thread_of(channel_id, text))


def encode_cursor(*parts: str | int) -> str:
    """An opaque, URL-safe cursor that contains the parts."""
    # Not escaped: a character of two bytes would take six, and the length of cursors is limited.
    raw = json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode_cursor(cursor: str, *kinds: type) -> tuple[str | int, ...] | None:
    """The parts of a cursor, if they are of these types; else None. The caller must validate their values."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        parts = json.loads(raw)
        json.dumps(parts, ensure_ascii=False).encode()  # refuses lone surrogates
    except (ValueError, RecursionError):
        return None
    if not isinstance(parts, list) or [type(part) for part in parts] != list(kinds):
        return None
    return tuple(parts)


def _base32(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, 32)
        digits = ID_ALPHABET[digit] + digits
    return digits
