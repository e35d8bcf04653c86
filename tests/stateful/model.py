"""Chat as a few dictionaries and lists: what the API is held against."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tests.stateful.entities import Channel, Follow, IdempotencyRecord, Member, Message, Thread, written
from tests.stateful.rules import FIXED, Expected, Pace, RefusedError, may, named_in, names_everybody, window

if TYPE_CHECKING:
    from collections.abc import Sequence

PACE: Final = Pace(1_000, 5)
"""Everybody's, but where a channel has slow mode."""
KEY_SECONDS: Final = 24 * 3600 + 5
"""A day, and as much as clocks may be apart."""
Query = dict[str, Any]


class Chat:
    """All channels, by id. Each method is a request: it returns the response of the API or raises `RefusedError`."""

    def __init__(self) -> None:
        self.channels: dict[str, Channel] = {}
        self.made_under: dict[tuple[str, str], str] = {}
        self.used_for: dict[tuple[str, str], str] = {}
        self.blocks: dict[tuple[str, str], int] = {}
        """Who blocks whom, and since when."""
        self.threads: dict[str, Thread] = {}
        """By the root's id."""

    # --- rights ---

    def seen(self, user: str, channel: str) -> Channel:
        """A channel that a user may see."""
        found = self.channels.get(channel)
        if found is None or (user not in found.members and found.kind != "public"):
            raise RefusedError("channel_not_found")
        return found

    def visible(self, user: str, channel: str) -> Channel:
        """A channel whose description a user may see."""
        found = self.seen(user, channel)
        if found.kind == "public" and user not in found.members and user in found.bans:
            raise RefusedError("banned")
        return found

    def joined(self, user: str, channel: str) -> tuple[Channel, Member]:
        """A channel of which a user is a member."""
        found = self.seen(user, channel)
        if user not in found.members:
            raise RefusedError("not_a_member")
        return found, found.members[user]

    def able(self, user: str, channel: str, what: str) -> tuple[Channel, Member]:
        """A channel in which a user has a capability."""
        found, member = self.joined(user, channel)
        if found.kind in FIXED and what not in {"post", "react", "pin"}:
            raise RefusedError("direct_channel")
        if what not in found.may(user):
            if found.blocks and not found.archived:
                raise RefusedError("user_blocked" if user in found.blocks else "cannot_send")
            raise RefusedError("channel_archived" if found.archived else "forbidden")
        return found, member

    def _entitled(self, user: str, channel: str, what: str) -> bool:
        """Whether a user's role has a right, archived or not."""
        found, me = self.joined(user, channel)
        return what in may(found.kind, me.role, archived=False)

    # --- channels ---

    def create(self, user: str, body: dict[str, Any], key: str | None, now: int, new_id: str) -> Expected:
        """A new channel, or the one that was made before; `new_id` is what the API named it."""
        wanted = json.dumps(
            [user, {**body, "members": sorted(set(body["members"]) - {user})}], sort_keys=True
        )
        if key is not None and self.used_for.setdefault((user, key), wanted) != wanted:
            raise RefusedError("idempotency_key_reused")
        old = self._made_before(user, body, key)
        if old is not None:
            shown = self.seen(user, old.id).json(user)
            headers = {} if old.kind in FIXED else {"idempotency-replayed": "true"}
            return Expected(200 if old.kind in FIXED else 201, shown, headers)
        if body["kind"] == "direct" and body["members"]:
            self._not_blocked(user, body["members"][0])
        settings: dict[str, Any] = {"name": "", "topic": "", "slow_mode": 0, "edit_window": None}
        settings |= {"members_pin": False, "show_reads": True, "retention_days": None}
        settings |= {name: body[name] for name in body if name != "members"}
        made = Channel(new_id, user, now, settings)
        made.members = {each: Member(each, "member", now) for each in body["members"]}
        made.members[user] = Member(user, "owner", now)
        self.channels[new_id] = made
        if key is not None and made.kind not in FIXED:
            self.made_under[user, key] = new_id
        return Expected(201, made.json(user), {"location": f"/v1/channels/{new_id}"})

    def _made_before(self, user: str, body: dict[str, Any], key: str | None) -> Channel | None:
        if body["kind"] in FIXED:
            users = {user, *body["members"]}
            such = (each for each in self.channels.values() if each.kind == body["kind"])
            return next((each for each in such if set(each.members) == users), None)
        return self.channels.get(self.made_under.get((user, key or ""), ""))

    def get(self, user: str, channel: str) -> Expected:
        """A channel."""
        found = self.visible(user, channel)
        return Expected(200, found.json(user))

    def update(self, user: str, channel: str, changes: dict[str, Any], if_match: str | None) -> Expected:
        """Other settings."""
        _judge_form(if_match)
        found, me = self.able(user, channel, "edit")
        _judge(found, if_match)
        if "retention_days" in changes and me.role != "owner":
            raise RefusedError("forbidden")
        if changes:
            found.settings |= changes
            found.version += 1
        return self.get(user, channel)

    def archive(self, user: str, channel: str, if_match: str | None) -> Expected:
        """The end of a channel."""
        _judge_form(if_match)
        found, _ = self.joined(user, channel)
        if found.kind not in FIXED and found.archived:
            return Expected(204)
        self.able(user, channel, "archive")
        _judge(found, if_match)
        found.archived, found.version = True, found.version + 1
        return Expected(204)

    def set_archived(self, user: str, channel: str, if_match: str | None, *, archived: bool) -> Expected:
        """The end of a channel, or of that end."""
        if archived:
            self.archive(user, channel, if_match)
            return self.get(user, channel)
        _judge_form(if_match)
        found, me = self.joined(user, channel)
        if found.kind in FIXED:
            raise RefusedError("direct_channel")
        if me.role != "owner":
            raise RefusedError("forbidden")
        if found.archived:
            _judge(found, if_match)
            found.archived, found.version = False, found.version + 1
        return self.get(user, channel)

    def mine(self, user: str, query: Query) -> list[Channel]:
        """A user's channels, the latest first."""
        found = [each for each in self.channels.values() if user in each.members]
        if query.get("unread_only"):
            found = [each for each in found if each.unread(user)]
            found = [each for each in found if not each.members[user].muted or each.mention_count(user)]
        found = [each for each in found if query.get("kind") in {None, each.kind}]
        return sorted(found, key=lambda each: (-each.active, each.id))

    def open_to(self, user: str) -> list[Channel]:
        """Public channels that a user may join."""
        found = [each for each in self.channels.values() if each.kind == "public" and not each.archived]
        return [each for each in found if user not in each.members]

    # --- members ---

    def members(self, user: str, channel: str) -> list[dict[str, Any]]:
        """A channel's members, by user id."""
        found = self.visible(user, channel)
        return [found.members[each].json() for each in sorted(found.members)]

    def reads(self, user: str, channel: str) -> Expected:
        """How far each member has read."""
        found, _ = self.joined(user, channel)
        if not found.settings["show_reads"]:
            raise RefusedError("reads_hidden")
        members = [found.members[each] for each in sorted(found.members)]
        reads = [{"user_id": each.user, "last_read_seq": each.read} for each in members]
        return Expected(200, {"channel_id": channel, "reads": reads})

    def put_member(self, user: str, channel: str, target: str, role: str | None, now: int) -> Expected:
        """A user joins, is added, or gets another role."""
        found = self.seen(user, channel)
        if found.kind in FIXED:
            raise RefusedError("direct_channel")
        if target != user and not (found.archived and self._entitled(user, channel, "invite")):
            self.able(user, channel, "invite")
        old = found.members.get(target)
        if old and role in {None, old.role}:
            return Expected(200, old.json())
        if found.archived:
            raise RefusedError("channel_archived")
        if role not in {None, old.role if old else "member"}:
            if user not in found.members or "change_roles" not in found.may(user):
                raise RefusedError("forbidden")
            if old:
                self._keep_an_owner(found, old, role)
                old.role = str(role)
        if old is None and target in found.bans:
            raise RefusedError("banned" if target == user else "user_banned")
        if old is None:
            left = found.left.get(target)
            owed = max(left.paid_until, left.changes_paid_until) if left else 0
            found.members[target] = Member(target, role or "member", now, len(found.log), owed, owed)
        return Expected(200 if old else 201, found.members[target].json())

    def remove(self, user: str, channel: str, target: str) -> Expected:
        """A user leaves or is removed; for a past member it succeeds again."""
        known = self.channels.get(channel)
        if target == user and known and user not in known.members and user in known.left:
            return Expected(204)
        found, me = self.joined(user, channel)
        if found.kind in FIXED:
            raise RefusedError("direct_channel")
        if target not in found.members and target in found.left and self._entitled(user, channel, "remove"):
            return Expected(204)
        if target != user:
            self.able(user, channel, "remove")
        if target not in found.members:
            raise RefusedError("member_not_found")
        leaves = found.members[target]
        if target != user and me.role == "moderator" and leaves.role != "member":
            raise RefusedError("forbidden")
        self._keep_an_owner(found, leaves, None)
        found.left[target] = found.members.pop(target)
        return Expected(204)

    def _keep_an_owner(self, channel: Channel, member: Member, role: str | None) -> None:
        owners = [each for each in channel.members.values() if each.role == "owner"]
        if owners == [member] and role != "owner":
            raise RefusedError("last_owner")

    # --- order ---

    def _not_blocked(self, user: str, other: str) -> None:
        if (user, other) in self.blocks:
            raise RefusedError("user_blocked")
        if (other, user) in self.blocks:
            raise RefusedError("cannot_send")

    def block(self, user: str, other: str, now: int, *, lifts: bool = False) -> Expected:
        """A user blocks another, or lifts that."""
        if lifts:
            self.blocks.pop((user, other), None)
        elif user == other:
            raise RefusedError("validation_failed")
        else:
            self.blocks.setdefault((user, other), now)
        for each in self.channels.values():
            if each.kind == "direct" and set(each.members) == {user, other}:
                (each.blocks.discard if lifts else each.blocks.add)(user)
        return Expected(204)

    def blocked(self, user: str) -> Expected:
        """Whom a user blocks."""
        mine = sorted((other, at) for (one, other), at in self.blocks.items() if one == user)
        return Expected(200, {"blocks": [{"user_id": each, "blocked_at": written(at)} for each, at in mine]})

    def ban(self, user: str, channel: str, target: str, now: int, *, lifts: bool = False) -> Expected:
        """A user is banned, or a ban lifted."""
        found, me = self.able(user, channel, "remove")
        if lifts:
            found.bans.pop(target, None)
            return Expected(204)
        if target == user:
            raise RefusedError("conflict")
        if target in found.bans:
            return Expected(200, found.bans[target])
        banned = found.members.get(target)
        if banned and me.role == "moderator" and banned.role != "member":
            raise RefusedError("forbidden")
        if banned:
            found.left[target] = found.members.pop(target)
        shown = {"user_id": target, "reason": None, "banned_by": user, "banned_at": written(now)}
        found.bans[target] = shown
        return Expected(201, shown)

    def bans(self, user: str, channel: str) -> Expected:
        """Who is banned."""
        found = self._moderated(user, channel, "remove")
        shown = [found.bans[each] for each in sorted(found.bans)]
        return Expected(200, {"bans": shown, "has_more": False, "next_cursor": None})

    def _moderated(self, user: str, channel: str, what: str) -> Channel:
        found, _ = self.joined(user, channel)
        if found.kind in FIXED or not (found.archived and self._entitled(user, channel, what)):
            self.able(user, channel, what)
        return found

    def report(self, user: str, channel: str, message: str, now: int, new_id: str) -> Expected:
        """A report of a message, or the one that was made before; `new_id` is what the API named it."""
        found, _ = self.joined(user, channel)
        if found.kind in FIXED:
            raise RefusedError("direct_channel")
        _, _, hit = self._message(user, channel, message)
        names = ("id", "message_id", "reason", "text", "reported_at")
        for old, _ in found.reports.values():
            if (old["reporter"], old["message_id"]) == (user, message):
                return Expected(200, {name: old[name] for name in names})
        shown: dict[str, Any] = {"id": new_id, "status": "open", "message_id": message, "reporter": user}
        shown |= {"reason": "spam", "text": None, "reported_at": written(now)}
        shown |= dict.fromkeys(("closed_by", "closed_at", "resolution"))
        found.reports[new_id] = (shown, hit)
        return Expected(201, {name: shown[name] for name in names})

    def reports(self, user: str, channel: str, status: str) -> Expected:
        """The queue, the oldest report first."""
        found = self._moderated(user, channel, "delete")
        shown = [
            found.reports[each][0] | {"message": found.reports[each][1].json()}
            for each in sorted(found.reports)
            if found.reports[each][0]["status"] == status
        ]
        return Expected(200, {"reports": shown, "has_more": False, "next_cursor": None})

    def close_report(self, user: str, channel: str, report: str, resolution: str, now: int) -> Expected:
        """A report is closed."""
        found = self._moderated(user, channel, "delete")
        if report not in found.reports:
            raise RefusedError("report_not_found")
        shown, message = found.reports[report]
        if shown["status"] == "open":
            shown |= {
                "status": "closed",
                "closed_by": user,
                "closed_at": written(now),
                "resolution": resolution,
            }
        elif shown["resolution"] != resolution:
            raise RefusedError("report_closed")
        return Expected(200, shown | {"message": message.json()})

    # --- messages ---

    def post(
        self,
        user: str,
        channel: str,
        said: dict[str, Any],
        key: str | None,
        now: int,
        ids: Sequence[str],
    ) -> tuple[list[Message], dict[str, str]]:
        """New messages, or those that the key was used for; `said` is the body, `ids` what the API named them."""
        found, me = self.joined(user, channel)
        old = found.idempotency_records.get((user, key)) if key is not None else None
        wanted, messages = json.dumps(said, sort_keys=True), said.get("messages", [said])
        if old is not None and now // 1000 <= old.until:
            if old.wanted != wanted:
                raise RefusedError("idempotency_key_reused")
            return old.messages, {"idempotency-replayed": "true"}
        owed, headers = self.pace(user, channel, len(messages), now)
        first, places = len(found.log) + 1, (*ids, *["?"] * len(messages))
        made = [
            Message(places[number], first + number, user, now, each) for number, each in enumerate(messages)
        ]
        for each in made:
            self._name(found, each)
        if any(each.everybody for each in made):
            found.everybody.append(first + len(made) - 1)
        me.paid_until = now + owed
        found.log += made
        me.read = len(found.log)
        if key is not None:
            found.idempotency_records[user, key] = IdempotencyRecord(wanted, now // 1000 + KEY_SECONDS, made)
        return made, headers

    def _name(self, channel: Channel, message: Message) -> None:
        """Sets whom a message names, and marks it in the memberships of those who are named newly or no more."""
        before, text = message.mentions, message.said["text"]
        message.mentions = [each for each in named_in(text) if each in channel.members]
        message.everybody = names_everybody(text)
        for user in message.mentions:
            if user not in before and user != message.sender:
                channel.members[user].marks.add(message.seq)
        self._unname(channel, message, set(before) - set(message.mentions))

    def _unname(self, channel: Channel, message: Message, users: set[str]) -> None:
        for user in users & channel.members.keys():
            channel.members[user].marks.discard(message.seq)

    def pace(self, user: str, channel: str, count: int, now: int) -> tuple[int, dict[str, str]]:
        """A user's rate debt in milliseconds after so many more messages, and the API's headers."""
        found, me = self.able(user, channel, "post")
        slow = int(found.settings["slow_mode"]) if me.role == "member" else 0
        pace = Pace(slow * 1000, 1) if slow else PACE
        return pace.paid(max(0, me.paid_until - now), count)

    def fail_to_post(self, channel: str, said: Sequence[dict[str, Any]]) -> None:
        """Positions that were reserved, and given up."""
        found = self.channels[channel]
        found.log += [None] * len(said)
        if any(names_everybody(each["text"]) for each in said):
            found.everybody.append(len(found.log))

    def page(self, user: str, channel: str, query: Query) -> Expected:
        """A page of messages."""
        found, me = self.joined(user, channel)
        wanted = window(query, len(found.log), me.read)
        last = wanted.stop - 1
        messages = [each for each in found.log[wanted.start - 1 : last] if each]
        body = {
            "channel_id": channel,
            "messages": [each.json() for each in messages],
            "first_seq": wanted.start,
            "last_seq": last,
            "channel_last_seq": len(found.log),
            "channel_last_rev": len(found.changes),
            "has_more_before": wanted.start > 1,
            "has_more_after": last < len(found.log),
        }
        return Expected(200, body)

    def message(self, user: str, channel: str, message: str) -> Expected:
        """One message."""
        _, _, hit = self._message(user, channel, message)
        return Expected(200, hit.json())

    def _message(self, user: str, channel: str, message: str) -> tuple[Channel, Member, Message]:
        found, me = self.joined(user, channel)
        hit = next((each for each in found.log if each and each.id == message), None)
        if hit is None:
            raise RefusedError("message_not_found")
        return found, me, hit

    def mark_read(self, user: str, channel: str, position: int, *, force: bool) -> Expected:
        """Moves a user's read position."""
        found, me = self.joined(user, channel)
        if position > len(found.log):
            raise RefusedError("position_out_of_range")
        me.read = position if force else max(me.read, position)
        body = {"channel_id": channel, "last_read_seq": me.read, "unread_count": found.unread(user)}
        return Expected(200, body)

    def set_muted(self, user: str, channel: str, *, muted: bool) -> Expected:
        """A user mutes a channel, or ends that."""
        _, me = self.joined(user, channel)
        me.muted = muted
        return Expected(200, {"channel_id": channel, "muted": muted})

    # --- changes ---

    def _pace_change(self, me: Member, now: int) -> tuple[int, dict[str, str]]:
        """As ``pace``, of one more change of a message: slow mode does not count for it."""
        owed, headers = PACE.paid(max(0, me.changes_paid_until - now), 1)
        return now + owed, headers

    def edit(
        self,
        user: str,
        channel: str,
        message: str,
        fields: dict[str, Any],
        match: str | None,
        key: str | None,
        now: int,
    ) -> Expected:
        """Another text or metadata; or what became of the message when the key was used before."""
        found, me, hit = self._message(user, channel, message)
        wanted = json.dumps(["edit", message, fields], sort_keys=True)
        old = found.idempotency_records.get((user, key)) if key is not None else None
        if old is not None and now // 1000 <= old.until:
            if old.wanted != wanted:
                raise RefusedError("idempotency_key_reused")
            body = hit.json() if hit.deleted else old.edited
            return Expected(200, body, {"idempotency-replayed": "true"})
        self.able(user, channel, "post")
        if hit.sender != user:
            raise RefusedError("forbidden")
        if hit.deleted:
            raise RefusedError("message_deleted")
        if match not in {None, "*"} and f'"{len(hit.edits) + 1}"' not in (match or "").split(", "):
            raise RefusedError("version_mismatch")
        if all(hit.said.get(name) == value for name, value in fields.items()):
            return Expected(200, hit.json())
        window = found.settings["edit_window"]
        if window is not None and now - hit.at > window * 1000:
            raise RefusedError("edit_window_over")
        me.changes_paid_until, headers = self._pace_change(me, now)
        hit.before.append(hit.version())
        hit.said = hit.said | fields
        self._name(found, hit)
        hit.edits.append(now)
        found.change("edited", hit, user, now)
        if key is not None:
            until = now // 1000 + KEY_SECONDS
            found.idempotency_records[user, key] = IdempotencyRecord(wanted, until, [], hit.json())
        return Expected(200, hit.json(), headers)

    def delete(self, user: str, channel: str, message: str, now: int) -> Expected:
        """A message's end."""
        found, me, hit = self._message(user, channel, message)
        if "post" not in found.may(user):
            raise RefusedError("channel_archived" if found.archived else "forbidden")
        if hit.sender != user and "delete" not in found.may(user):
            raise RefusedError("forbidden")
        if hit.deleted:
            return Expected(204)
        me.changes_paid_until, headers = self._pace_change(me, now)
        hit.before.append(hit.version())
        hit.deleted = (now, user)
        self._unname(found, hit, set(hit.mentions))
        found.change("deleted", hit, user, now)
        return Expected(204, None, headers)

    def react(self, user: str, channel: str, message: str, emoji: str, now: int) -> Expected:
        """A reaction."""
        found, me, hit = self._message(user, channel, message)
        self.able(user, channel, "react")
        if hit.deleted:
            raise RefusedError("message_deleted")
        if user in hit.reactions.get(emoji, []):
            return Expected(200, hit.json())
        me.changes_paid_until, headers = self._pace_change(me, now)
        if not hit.reactions.get(emoji):
            hit.reactions.pop(emoji, None)
        hit.reactions.setdefault(emoji, []).append(user)
        found.change("reaction_added", hit, user, now, emoji)
        return Expected(200, hit.json(), headers)

    def unreact(self, user: str, channel: str, message: str, emoji: str, now: int) -> Expected:
        """A reaction is taken back."""
        found, me, hit = self._message(user, channel, message)
        self.able(user, channel, "react")
        if hit.deleted or user not in hit.reactions.get(emoji, []):
            return Expected(204)
        me.changes_paid_until, headers = self._pace_change(me, now)
        hit.reactions[emoji].remove(user)
        found.change("reaction_removed", hit, user, now, emoji)
        return Expected(204, None, headers)

    def pin(self, user: str, channel: str, message: str, now: int, *, pinned: bool) -> Expected:
        """A message is pinned, or not any more."""
        found, me, hit = self._message(user, channel, message)
        self.able(user, channel, "pin")
        if pinned and hit.deleted:
            raise RefusedError("message_deleted")
        until, headers = self._pace_change(me, now)
        if pinned is (hit.seq in found.pins):
            return Expected(204)
        me.changes_paid_until = until
        if pinned:
            found.pins[hit.seq] = found.change("pinned", hit, user, now)
        else:
            del found.pins[hit.seq]
            found.change("unpinned", hit, user, now)
        return Expected(204, None, headers)

    def changes(self, user: str, channel: str, after: int, limit: int) -> Expected:
        """A page of changes: each message stands at the last of its changes."""
        found, _ = self.joined(user, channel)
        end = len(found.changes)
        if after > end:
            raise RefusedError("position_out_of_range")
        last = min(end, after + limit)
        shown = [
            change | ({"message": message.json()} if message.rev == change["rev"] else {})
            for change, message in found.changes[after:last]
        ]
        body = {
            "channel_id": channel,
            "changes": shown,
            "first_rev": after + 1,
            "last_rev": last,
            "channel_last_rev": end,
            "has_more_after": last < end,
        }
        return Expected(200, body)

    def pins(self, user: str, channel: str) -> Expected:
        """The pinned messages, the latest pin first."""
        found, _ = self.joined(user, channel)
        order = sorted(
            ((rev, found.log[seq - 1]) for seq, rev in found.pins.items()),
            reverse=True,
            key=lambda each: each[0],
        )
        shown = [{"rev": rev, "message": each.json()} for rev, each in order if each and not each.deleted]
        return Expected(200, {"channel_id": channel, "pins": shown})

    def versions(self, user: str, channel: str, message: str) -> Expected:
        """A message's versions, for its author, moderators and owners."""
        found, me, hit = self._message(user, channel, message)
        if hit.sender != user and (me.role == "member" or found.kind in FIXED):
            raise RefusedError("forbidden")
        shown = hit.before[-20:] + ([] if hit.deleted else [hit.version()])
        return Expected(200, {"message_id": message, "versions": shown})

    def mentions(self, user: str) -> Expected:
        """The messages that name somebody, in channels that they are in, the newest first."""
        shown = []
        for found in self.channels.values():
            me = found.members.get(user)
            for seq in me.marks if me else ():
                message = found.log[seq - 1]
                if me and message and message.names(user):
                    order = (message.at, seq, found.id)
                    is_read = seq <= me.read
                    shown.append(
                        (order, {"channel_id": found.id, "is_read": is_read, "message": message.json()})
                    )
        shown += self._mentions_in_threads(user)
        shown.sort(key=lambda each: each[0], reverse=True)
        body = {"mentions": [each for _, each in shown], "has_more": False, "next_cursor": None}
        return Expected(200, body)

    # --- threads ---

    def thread(self, user: str, channel: str, root: str) -> Thread:
        """The thread of a message, which begins when it is first asked for."""
        _, _, hit = self._message(user, channel, root)
        return self.threads.setdefault(root, Thread(channel, hit))

    def reply(
        self,
        user: str,
        channel: str,
        root: str,
        said: dict[str, Any],
        key: str | None,
        now: int,
        ids: Sequence[str],
    ) -> tuple[list[Message], dict[str, str]]:
        """As ``post``, to a thread."""
        thread = self.thread(user, channel, root)
        wanted, messages = json.dumps(said, sort_keys=True), said.get("messages", [said])
        old = thread.idempotency_records.get((user, key)) if key is not None else None
        if old is not None and now // 1000 <= old.until:
            if old.wanted != wanted:
                raise RefusedError("idempotency_key_reused")
            return old.messages, {"idempotency-replayed": "true"}
        owed, headers = self.may_reply(user, thread, len(messages), now)
        found, me = self.joined(user, channel)
        author = thread.root.sender
        if thread.root.thread is None and not thread.replies and author in found.members:
            thread.follows.setdefault(author, Follow())
        made = []
        for each, name in zip(messages, (*ids, *["?"] * len(messages)), strict=False):
            reply = Message(name, len(thread.log) + 1, user, now, each)
            reply.mentions = [other for other in named_in(each["text"]) if other in found.members]
            for other in set(reply.mentions) - {user}:
                thread.follows.setdefault(other, Follow()).marks.add(reply.seq)
            thread.log.append(reply)
            made.append(reply)
        me.paid_until = now + owed
        thread.follows.setdefault(user, Follow()).read = len(thread.log)
        if key is not None:
            thread.idempotency_records[user, key] = IdempotencyRecord(wanted, now // 1000 + KEY_SECONDS, made)
        return made, headers

    def may_reply(self, user: str, thread: Thread, count: int, now: int) -> tuple[int, dict[str, str]]:
        """As ``pace``; a root that was deleted takes no first reply."""
        self.able(user, thread.channel, "post")
        if thread.root.deleted and not thread.log:
            raise RefusedError("message_deleted")
        return self.pace(user, thread.channel, count, now)

    def delete_reply(self, user: str, channel: str, root: str, seq: int, now: int) -> Expected:
        """A reply's end."""
        thread = self.thread(user, channel, root)
        found, _ = self.joined(user, channel)
        hit = thread.log[seq - 1] if 0 < seq <= len(thread.log) else None
        if hit is None:
            raise RefusedError("message_not_found")
        if "post" not in found.may(user):
            raise RefusedError("channel_archived" if found.archived else "forbidden")
        if hit.sender != user and "delete" not in found.may(user):
            raise RefusedError("forbidden")
        if not hit.deleted:
            hit.deleted, hit.rev = (now, user), len(thread.changes) + 1
            shown = {"rev": hit.rev, "kind": "deleted", "message_id": hit.id, "seq": seq, "by": user}
            thread.changes.append((shown | {"at": written(now)}, hit))
            for follow in thread.follows.values():
                follow.marks.discard(seq)
        return Expected(204)

    def summarized(self, root: str, shown: dict[str, Any], by: str, now: int, *, exact: bool) -> None:
        """Takes over what the API's root says of its thread, if that is new: it never says too much.

        Args:
            root: its id.
            shown: the root as the API shows it.
            by: who caused it.
            now: when.
            exact: whether it must be the truth.
        """
        thread = self.threads[root]
        if shown.get("rev", 0) > thread.root.rev:
            thread.root.thread = shown["thread"]
            self.channels[thread.channel].change("thread", thread.root, by, now)
        assert shown == thread.root.json()
        said = thread.root.thread or {"reply_count": 0, "last_reply_seq": 0, "repliers": []}
        count, senders = said["reply_count"], list(dict.fromkeys(each.sender for each in thread.replies))
        assert count <= len(thread.replies)
        assert set(said["repliers"]) <= set(senders)
        assert not exact or (count, said["repliers"]) == (len(thread.replies), senders[:5])

    def replies(self, user: str, channel: str, root: str, query: Query) -> Expected:
        """A page of replies."""
        thread = self.thread(user, channel, root)
        follow, log = thread.follows.get(user, Follow()), thread.log
        wanted = window(query, len(log), follow.read)
        last = wanted.stop - 1
        body = {
            "channel_id": channel,
            "thread_id": root,
            "messages": [each.json() for each in log[wanted.start - 1 : last] if each],
            "first_seq": wanted.start,
            "last_seq": last,
            "channel_last_seq": len(log),
            "channel_last_rev": len(thread.changes),
            "has_more_before": wanted.start > 1,
            "has_more_after": last < len(log),
        }
        return Expected(200, body)

    def mark_thread_read(self, user: str, channel: str, root: str, position: int, *, force: bool) -> Expected:
        """Moves a user's read position in a thread; nothing for who does not follow it."""
        thread = self.thread(user, channel, root)
        if position > len(thread.log):
            raise RefusedError("position_out_of_range")
        follow = thread.follows.get(user)
        body: dict[str, Any] = {"channel_id": channel, "thread_id": root, "following": follow is not None}
        if follow is None:
            nothing = dict.fromkeys(("last_read_seq", "unread_count", "mention_count"))
            return Expected(200, body | nothing)
        follow.read = position if force else max(follow.read, position)
        unread = {each.seq for each in thread.replies if each.seq > follow.read}
        counts = {"unread_count": len(unread), "mention_count": len(follow.marks & unread)}
        return Expected(200, body | {"last_read_seq": follow.read} | counts)

    def follow(self, user: str, channel: str, root: str, *, begins: bool) -> Expected:
        """A user follows a thread from its end on, or no more."""
        thread = self.thread(user, channel, root)
        if begins:
            thread.follows.setdefault(user, Follow(len(thread.log)))
        else:
            thread.follows.pop(user, None)
        return Expected(204)

    def my_threads(self, user: str, *, unread: bool) -> Expected:
        """The threads with a reply that a user follows, the latest first."""
        found = []
        for thread in self.threads.values():
            is_in = user in self.channels[thread.channel].members
            if is_in and user in thread.follows and any(thread.log):
                latest = next(each for each in reversed(thread.log) if each)
                shown = thread.json(user)
                if shown["unread_count"] or not unread:
                    found.append((-latest.at, thread.root.id, shown))
        shown_threads = [each for *_, each in sorted(found, key=lambda each: each[:2])]
        return Expected(200, {"threads": shown_threads, "has_more": False, "next_cursor": None})

    def _mentions_in_threads(self, user: str) -> list[tuple[tuple[int, int, str], dict[str, Any]]]:
        shown = []
        for root, thread in self.threads.items():
            follow = thread.follows.get(user)
            if follow is None or user not in self.channels[thread.channel].members:
                continue
            for message in thread.replies:
                if message.seq in follow.marks:
                    place: dict[str, Any] = {"channel_id": thread.channel, "thread_id": root}
                    place["is_read"] = message.seq <= follow.read
                    shown.append(((message.at, message.seq, root), place | {"message": message.json()}))
        return shown


def _judge_form(if_match: str | None) -> None:
    if if_match == "x":
        raise RefusedError("validation_failed")


def _judge(channel: Channel, if_match: str | None) -> None:
    """Whether a change that was asked for under such an ``If-Match`` may be made."""
    if if_match not in {None, "*"} and f'"{channel.version}"' not in (if_match or "").split(", "):
        raise RefusedError("version_mismatch")
