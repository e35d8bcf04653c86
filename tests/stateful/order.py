"""Requests that keep order: blocks, bans and reports."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.stateful.channels import TARGETS
from tests.stateful.comparison import USERS, WHERE, WHO, ApiAndModel

LIFTS = st.sampled_from([False, False, True])


class Order(ApiAndModel):
    """Rules about what keeps order."""

    @rule(who=WHO, whom=st.sampled_from(USERS), lifts=LIFTS)
    def block(self, who: int, whom: str, lifts: bool) -> None:  # noqa: FBT001 - Hypothesis names it
        """A user blocks another, or lifts that."""
        user = self.user(who)
        response = self.call(user, "DELETE" if lifts else "PUT", f"/v1/blocks/{whom}")
        self.agree(response, user, lambda: self.chat.block(user, whom, self.now, lifts=lifts))

    @rule(who=WHO)
    def list_blocks(self, who: int) -> None:
        """Whom a user blocks."""
        user = self.user(who)
        response = self.call(user, "GET", "/v1/blocks")
        self.agree(response, user, lambda: self.chat.blocked(user))

    @rule(who=WHO, where=WHERE, whom=TARGETS, lifts=LIFTS)
    def ban(self, who: int, where: int, whom: str, lifts: bool) -> None:  # noqa: FBT001 - Hypothesis names it
        """A user is banned, or a ban lifted."""
        channel = self.channel(where)
        user = self.user(who, channel)
        named = user if whom == "me" else whom
        response = self.call(user, "DELETE" if lifts else "PUT", f"/v1/channels/{channel}/bans/{whom}")
        self.agree(response, user, lambda: self.chat.ban(user, channel, named, self.now, lifts=lifts))

    @rule(who=WHO, where=WHERE)
    def list_bans(self, who: int, where: int) -> None:
        """Who is banned from a channel."""
        channel = self.channel(where)
        user = self.user(who, channel)
        response = self.call(user, "GET", f"/v1/channels/{channel}/bans")
        self.agree(response, user, lambda: self.chat.bans(user, channel))

    @rule(who=WHO, where=WHERE, which=st.integers(0, 60))
    def report(self, who: int, where: int, which: int) -> None:
        """A message is reported; reports of one millisecond have no order, so that each has its own."""
        self.fleet.clock.ms += 1
        channel = self.channel(where)
        user = self.user(who, channel)
        known = self.chat.channels.get(channel)
        logged = [each for each in known.log if each] if known else []
        message = logged[which % len(logged)].id if logged else f"{channel}-00000001"
        path = f"/v1/channels/{channel}/messages/{message}/reports"
        response = self.call(user, "POST", path, body={"reason": "spam"})
        new_id = response.json["id"] if response.status < 300 else ""
        self.agree(response, user, lambda: self.chat.report(user, channel, message, self.now, new_id))

    @rule(who=WHO, where=WHERE, status=st.sampled_from(["open", "closed"]))
    def list_reports(self, who: int, where: int, status: str) -> None:
        """The queue of a channel's moderators."""
        channel = self.channel(where)
        user = self.user(who, channel)
        response = self.call(user, "GET", f"/v1/channels/{channel}/reports", query={"status": status})
        self.agree(response, user, lambda: self.chat.reports(user, channel, status))

    @rule(who=WHO, where=WHERE, which=st.integers(0, 9), resolution=st.sampled_from(["done", "done", "no"]))
    def close_report(self, who: int, where: int, which: int, resolution: str) -> None:
        """A report is closed."""
        channel = self.channel(where)
        user = self.user(who, channel)
        known = self.chat.channels.get(channel)
        ids = [*(known.reports if known else ()), "0" * 16]
        report = ids[which % len(ids)]
        body = {"status": "closed", "resolution": resolution}
        response = self.call(user, "PUT", f"/v1/channels/{channel}/reports/{report}", body=body)
        self.agree(
            response, user, lambda: self.chat.close_report(user, channel, report, resolution, self.now)
        )
