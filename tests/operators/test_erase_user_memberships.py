"""Erasing a user whose membership ends or changes at the same moment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from operators.erase_user import Erased
from shared.bootstrap import compose
from shared.domain.model import PastMembership, Role
from shared.settings import Settings
from shared.storage.memory import MemoryStore
from tests.api import Api
from tests.functions.chat import Chat, texts
from tests.operators.erasing import SECRET, STAND_IN, eraser

if TYPE_CHECKING:
    from tests.conftest import FakeClock
    from tests.shared.use_cases.scripted_store import ScriptedStore


@dataclass
class SeenInPart(MemoryStore):
    """A store that shows an ended membership as gone at once, and its past membership only after some time."""

    hidden: bool = True

    def past_memberships(self, user_id: str) -> list[PastMembership]:
        """None yet."""
        return [] if self.hidden else super().past_memberships(user_id)


def test_a_membership_that_somebody_else_is_ending_is_found(clock: FakeClock) -> None:
    """Ada removes eve as the tool begins, and a read sees half of that: eve's messages are redacted all the same."""
    store = SeenInPart()
    chat = Chat(Api(compose(Settings(), store, clock.now, clock.sleep)), clock)
    channel = chat.channel("eve")
    chat.post(channel, SECRET, "eve")
    chat.remove(channel, "eve")

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        store.hidden = False

    assert replace(eraser(store, clock), sleep=sleep).erase("eve") == Erased(1, 1, returned=False)
    assert texts(chat.page(channel)) == [""]
    assert clock.slept == [15.0, 15.0, STAND_IN]


def test_an_owner_since_just_now_hands_nothing_over(
    chat: Chat, channel: str, store: ScriptedStore, clock: FakeClock
) -> None:
    """Eve becomes an owner after the tool's read: as there is another owner, nobody else becomes one."""
    seen = store.membership(channel, "eve")
    assert seen is not None
    chat.put_member(channel, "joe", role="moderator")
    clock.ms += 1_000
    for owner in ("grace", "eve"):
        chat.put_member(channel, owner, role="owner")
    assert chat.remove(channel, "me").status == 204
    eraser(store, clock)._leave(seen)
    roles = {each.user_id: each.role for each in store.members(channel, 9, None)}
    assert roles == {"grace": Role.OWNER, "joe": Role.MODERATOR}
