"""Keys, ids and cursors, and their inverses. Pure: no I/O, no clock.

Layout of the one table (partition key ``pk``, sort key ``sk``):

==========  ================  ======================  ==========================================
item        pk                sk                      written by
==========  ================  ======================  ==========================================
head        ``C#<channel>``   ``HEAD``                creating, posting, changing a channel
listing     ``C#<channel>``   ``PUBLIC``              creating, renaming, archiving a public one
entry       ``C#<channel>``   ``E#<seq, 12 digits>``  posting; a reader that settles a hole
gap         ``C#<channel>``   ``G#<seq, 12 digits>``  whoever settles a hole with a void
change      ``C#<channel>``   ``X#<rev, 12 digits>``  editing, deleting, reacting, pinning
reaction    ``C#<channel>``   ``R#<seq>#<emoji>#<user>``  reacting, after the first 20 with an emoji
pins        ``C#<channel>``   ``PINS``                pinning
receipt     ``C#<channel>``   ``I#<user>#<key>``      posting with an ``Idempotency-Key``
key use     ``C#<hash>``      ``KEY``                 creating a channel with an ``Idempotency-Key``
membership  ``U#<user>``      ``C#<channel>``         joining, posting, marking as read
former      ``U#<user>``      ``L#<channel>``         leaving, being removed (joining looks)
spent       ``B#<user>``      ``M#<minute>``          reading a long list; deleted by TTL
==========  ================  ======================  ==========================================
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
ENTRIES: Final = "E#"
MEMBERSHIPS: Final = "C#"
FORMERS: Final = "L#"
"""How the sort keys below a user begin."""
RECEIPTS: Final = "I#"
"""How the sort keys of receipts begin, below a channel."""
ID_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuv"
"""Base 32 in ASCII order, so that ids sort as the numbers they stand for."""

_CHANNEL_ID = re.compile(r"[0-9a-v]{16,26}\Z")
_MESSAGE_ID = re.compile(r"([0-9a-v]{16,26})-([0-9a-v]{8})\Z")
# Not what ends or divides a path once API Gateway and Mangum have each decoded it, nor a step that clients resolve.
_STORED_USER_ID = re.compile(r"(?!\.\.?\Z)[^\x00-\x1f\x7f/?#%\\\ud800-\udfff]+\Z")
_UNFIT = re.compile(f"[{UNFIT_FOR_NAMES}]")
SEQ_CHARS: Final = 8  # of a message id's end; 32**8 > MAX_SEQ
MAX_USER_ID_BYTES: Final = 128
USER_ID_RULE: Final = (
    f"1 to {MAX_USER_ID_BYTES} bytes, something visible, none of / ? # % \\ and no control, line separator, "
    "bidirectional control or U+FFFD"
)
"""In the words of whoever is refused."""
AFTER_NAME: Final = "\x1f"
"""Between name and id: sorts before all that a name may hold, so that a name comes before those that go on after it."""
ME: Final = "me"
"""The caller's id in paths, and so nobody's own: others could not name them."""


def channel_pk(channel_id: str) -> str:
    """The partition of a channel's log."""
    return f"C#{channel_id}"


def user_pk(user_id: str) -> str:
    """The partition of a user's memberships."""
    return f"U#{user_id}"


def membership_sk(channel_id: str) -> str:
    """The sort key of a membership below its user."""
    return f"{MEMBERSHIPS}{channel_id}"


def head_key(channel_id: str) -> tuple[str, str]:
    """Both keys of a head."""
    return channel_pk(channel_id), HEAD_SK


def entry_key(channel_id: str, seq: int) -> tuple[str, str]:
    """Both keys of an entry."""
    return channel_pk(channel_id), entry_sk(seq)


def membership_key(channel_id: str, user_id: str) -> tuple[str, str]:
    """Both keys of a membership."""
    return user_pk(user_id), membership_sk(channel_id)


def past_membership_sk(channel_id: str) -> str:
    """The sort key of a membership that ended, below its user."""
    return f"{FORMERS}{channel_id}"


def budget_pk(user_id: str) -> str:
    """The partition of what a user's expensive reads have cost: apart from what a function that lists may not write."""
    return f"B#{user_id}"


def minute_sk(minute: int) -> str:
    """The sort key of what was spent in a minute, counted since 1970."""
    return f"M#{minute}"


def entry_sk(seq: int) -> str:
    """The sort key of a log entry: sorts as its position does, for ``0 <= seq <= MAX_SEQ``."""
    return f"E#{seq:0{SEQ_DIGITS}d}"


def gap_sk(seq: int) -> str:
    """The sort key of a gap's item: sorts as its position does."""
    return f"G#{seq:0{SEQ_DIGITS}d}"


def change_sk(rev: int) -> str:
    """The sort key of a change: sorts as its number does."""
    return f"X#{rev:0{SEQ_DIGITS}d}"


def reactions_sk(seq: int, emoji: str) -> str:
    """How the sort keys of the reactions with an emoji begin, of those that the message does not show."""
    return f"R#{seq:0{SEQ_DIGITS}d}#{emoji}#"


def idempotency_record_sk(user_id: str, key: str) -> str:
    """The sort key of an idempotency item; unambiguous whatever the user id and key contain."""
    return f"{RECEIPTS}{quote(user_id, safe='')}#{key}"


def channel_state_keys(channel_id: str, user_id: str, key: str | None) -> list[tuple[str, str]]:
    """Both keys of all that a look reads: head, membership, and the receipt of ``key`` if there is one."""
    found = [head_key(channel_id), membership_key(channel_id, user_id)]
    return found if key is None else [*found, (channel_pk(channel_id), idempotency_record_sk(user_id, key))]


def public_name(name: str, channel_id: str) -> str:
    """What the index of public channels sorts by: the whole name without case, shorter names first, then the id.

    At most 507 bytes, of the 1,024 that DynamoDB allows.
    """
    return f"{folded(name)}{AFTER_NAME}{channel_id}"


def is_public_name(text: str, channel_id: str) -> bool:
    """Whether the index may have a channel under this: also as it was sorted before, by 16 characters and the id."""
    for separator, longest in ((AFTER_NAME, 3 * MAX_NAME), ("#", 16)):
        if text.endswith(f"{separator}{channel_id}"):
            return len(text) - len(separator) - len(channel_id) <= longest
    return False


def channel_of(key: str) -> str:
    """The channel id in a ``C#…`` or ``L#…`` key."""
    return key[2:]


def user_of(pk: str) -> str:
    """The user id in a ``U#…`` key."""
    return pk[2:]


def seq_of(sk: str) -> int:
    """The position in an entry's sort key."""
    return int(sk[2:])


def is_channel_id(text: str) -> bool:
    """Whether the text has the form of a channel id."""
    return _CHANNEL_ID.match(text) is not None


def is_user_id(text: str) -> bool:
    """Whether the text may be a user id: 1 to 128 bytes, no backslash and none of ``/ ? # %``, nothing unfit for names.

    Nor a single or a double dot, nor a text of which nothing is visible.
    """
    return is_stored_user_id(text) and not _UNFIT.search(text) and is_visible(text)


def is_stored_user_id(text: str) -> bool:
    """Whether the text may stand in the table as a user id: also those taken before all of ``is_user_id`` was asked.

    For cursors, which name whoever a page ended with, and for operators, who export and erase whatever is stored.
    """
    return _STORED_USER_ID.match(text) is not None and len(text.encode()) <= MAX_USER_ID_BYTES


def may_call(user_id: str) -> bool:
    """Whether a token's ``sub`` is a user of the API: a user id, and not what paths call the caller."""
    return is_user_id(user_id) and user_id != ME


def new_channel_id() -> str:
    """A fresh channel id: 80 random bits."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(16))


def derived_channel_id(purpose: str, *parts: str) -> str:
    """The id that the same parts always give: 130 bits of SHA-256, so that a retry finds its channel again."""
    digest = hashlib.sha256(json.dumps([purpose, *parts]).encode()).digest()
    return _base32(int.from_bytes(digest[:17], "big") >> 6, 26)


def message_id(channel_id: str, seq: int) -> str:
    """The id of the message at a position: unique everywhere, sorts in commit order within its channel."""
    return f"{channel_id}-{_base32(seq, SEQ_CHARS)}"


def seq_of_message(channel_id: str, text: str) -> int | None:
    """The position a message id of this channel stands for; None where it is no such id."""
    match = _MESSAGE_ID.match(text)
    if match is None or match[1] != channel_id:
        return None
    seq = int(match[2], 32)
    return seq if 1 <= seq <= MAX_SEQ else None


def encode_cursor(*parts: str | int) -> str:
    """An opaque cursor over its parts; URL-safe."""
    # Not escaped: a letter of two bytes would take six, and cursors have a largest length.
    raw = json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode_cursor(cursor: str, *kinds: type) -> tuple[str | int, ...] | None:
    """The parts of a cursor that was made of such kinds; None for any other text. What they say is still foreign."""
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
