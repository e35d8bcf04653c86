"""Writers of posts and changes, and now and then the engine, are killed in the middle: `python -m tests.chaos.kills`.

Clients hand requests to writers, which are processes of their own with the real handlers over botocore and DynamoDB
Local (`-dbPath`, so that its database outlives it). A writer is sent SIGKILL at a random moment of its post; the client
repeats the post under its key with another writer until it is acknowledged. Now and then the engine is sent SIGKILL
and started again on its database. Afterwards somebody who remembers nothing reads all of it.

DynamoDB Local may lose what it acknowledged in the last moment before its own death, and may keep half of a
transaction: `--control` shows it with no code of ours. DynamoDB does neither. A post that was acknowledged within a
second before the engine was killed, and is gone, is counted apart.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.lib import command
from local.dynamodb import dynamodb_local
from operators.capacity import table
from shared.domain import keys
from shared.domain.clock import now_ms
from shared.domain.messages import Draft, encode, preview
from shared.domain.model import MAX_BATCH, Entry, Head, Kind, Membership, Role
from shared.storage.dynamodb import DynamoDBStore
from shared.storage.protocol import Commit, Committed, Reservation
from tests.chaos.crash.attack import TARGETS, USERS, Attack, say
from tests.chaos.crash.audit import audit
from tests.chaos.crash.control import Control
from tests.chaos.crash.engine import MortalEngine, mortal_engine
from tests.chaos.crash.writers import thread_of

KILLS: Final = 500
ENGINE_KILLS: Final = 12
CHANNELS: Final = 3
READER: Final = "grace"
SEED: Final = 6


def _channels(engine: MortalEngine) -> list[str]:
    store, made = engine.store(), []
    for i in range(CHANNELS):
        channel_id, now = keys.new_channel_id(), now_ms()
        head = Head(channel_id, Kind.PRIVATE, f"channel {i}", "", USERS[0], now, members=4)
        members = [Membership(user, head.channel_id, Role.MEMBER, now_ms()) for user in (*USERS, READER)]
        store.create_channel(head, members)
        store.update_channel(channel_id, {"members_pin": True}, None)
        for log in (channel_id, thread_of(channel_id)):
            for at in range(0, TARGETS, MAX_BATCH):
                _fill(store, log, range(at, min(at + MAX_BATCH, TARGETS)))
        made.append(head.channel_id)
    return made


def _fill(store: DynamoDBStore, channel_id: str, numbers: range) -> None:
    """Puts messages into a channel or thread that are there to be changed, by each of the users in turn."""
    now = now_ms()
    reservation = store.reserve(channel_id, len(numbers), preview(0, USERS[0], "target", now))
    assert isinstance(reservation, Reservation)
    entries = []
    for number in numbers:
        seq, draft = number + 1, Draft(f"target {number}")
        body = encode(channel_id, seq, USERS[number % len(USERS)], now, draft)
        entries.append(Entry(seq, seq, now, body))
    commit = Commit(channel_id, USERS[0], entries, 0, 0, move_read=False, idempotency_record=None, now=now)
    assert store.commit(commit) == Committed()


def measure(kills: int, engine_kills: int, seed: int) -> dict[str, Any]:
    """All of it; the counts."""
    with tempfile.TemporaryDirectory() as directory, mortal_engine(Path(directory)) as engine:
        channels = _channels(engine)
        began = time.monotonic()
        attack = Attack(engine, channels, kills, engine_kills, seed)
        attack.run()
        say("reading all of it")
        found = audit(engine.store(), channels, READER, attack.first, attack.changed, TARGETS)
        lost_changes = [each for each in found.lost_changes if not attack.is_unsafe(attack.changed[each])]
        gone = [post for post in found.missing if attack.lost_by_the_engine(post)]
        attack.replay_all(gone)
        counts = attack.counts
        lost_by_the_engine = sum(len(post.texts) * (1 + post.also_in_channel) for post in gone)
        lost = max(found.lost - lost_by_the_engine, len(found.missing) - len(gone))
        return {
            "writers_killed": counts["writers killed"],
            "committed_before_the_kill": counts["committed before the kill"],
            "engine_killed": engine.kills,
            "posts_acknowledged": len(attack.first),
            "posts_sent": counts["posts"],
            "replays": counts["replays seen"],
            "refused_503": counts["answers 503"],
            "failed_500": counts["answers 500"],
            "changes_acknowledged": len(attack.changed),
            "changes": found.changes,
            "changes_given_up": counts["changes given up"],
            "lost_changes": len(lost_changes),
            "changes_lost_by_the_engine": len(found.lost_changes) - len(lost_changes),
            "doubled_changes": found.doubled_changes,
            "change_gaps": found.change_gaps,
            "messages": found.messages,
            "voids": found.voids,
            "lost": lost,
            "lost_by_the_engine": len(gone),
            "doubled": found.doubled,
            "gaps": found.gaps,
            "wrong_pages": found.wrong_pages,
            "wrong_answers": counts["wrong answers"] + counts["posts without a replay"],
            "wrong_previews": found.wrong_previews,
            "wrong_unread": found.wrong_unread,
            "replies_acknowledged": sum(post.is_reply for post in attack.first),
            "wrong_summaries": found.wrong_summaries,
            "engine_down_seconds": round(engine.down_seconds, 1),
            "seconds": round(time.monotonic() - began, 1),
            "notes": [*attack.notes, *(attack.told_when(post) for post in found.missing)][:10],
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Attacks, audits, prints, and says whether the targets were met."""
    parser = command.parser("posts whose writers and engine are killed at random moments")
    parser.add_argument("--kills", type=int, default=KILLS, help="of writers")
    parser.add_argument("--engine-kills", type=int, default=ENGINE_KILLS)
    parser.add_argument("--control", action="store_true", help="the engine alone, without Budgie's code")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args(arguments)
    kills, engine_kills = (12, 1) if options.tiny else (options.kills, options.engine_kills)
    try:
        dynamodb_local.require_java()
    except dynamodb_local.UnavailableError as error:
        print(error, file=sys.stderr)
        return 2
    if options.control:
        with tempfile.TemporaryDirectory() as directory, mortal_engine(Path(directory)) as engine:
            shown = Control(engine).run(engine_kills)
        text = table(["", ""], [(name.replace("_", " "), value) for name, value in shown.items()])
        return command.finish(options, {"bench": "crashes, the engine alone", **shown}, {}, text)
    results = measure(kills, engine_kills, options.seed)
    targets = {
        f"at least {kills} writers and {engine_kills} engines were killed": (
            results["writers_killed"] >= kills and results["engine_killed"] >= engine_kills
        ),
        "0 acknowledged messages lost, 0 doubled": results["lost"] == results["doubled"] == 0,
        "0 acknowledged changes lost, 0 doubled, change logs dense": (
            results["lost_changes"] == results["doubled_changes"] == results["change_gaps"] == 0
        ),
        "every post was acknowledged in the end": results["posts_acknowledged"] == results["posts_sent"],
        "positions dense, pages equal to the log": results["gaps"] == results["wrong_pages"] == 0,
        "every answer to a post equal to its first, and no 500": (
            results["wrong_answers"] == results["failed_500"] == 0
        ),
        "roots count their replies, but for what the engine lost": (
            results["wrong_summaries"]
            <= results["lost_by_the_engine"] + results["changes_lost_by_the_engine"]
        ),
        "preview and unread counts right": results["wrong_previews"] == results["wrong_unread"] == 0,
    }
    text = table(["", ""], [(name.replace("_", " "), value) for name, value in results.items()])
    return command.finish(options, {"bench": "crashes", **results}, targets, text)


if __name__ == "__main__":
    sys.exit(main())
