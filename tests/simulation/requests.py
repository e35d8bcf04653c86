"""A request, from a client to a container and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shared.bootstrap import Services
from shared.domain import keys
from shared.domain.errors import (
    BannedError,
    BudgieError,
    CannotSendError,
    ChannelArchivedError,
    ChannelNotFoundError,
    MessageNotFoundError,
    NotAMemberError,
    PositionOutOfRangeError,
    UnavailableError,
    UserBlockedError,
)
from shared.observability.meter import start_meter
from tests.simulation.ledger import Asked
from tests.simulation.pages import WrongError
from tests.simulation.scheduler import DiedError

if TYPE_CHECKING:
    from tests.simulation.containers import Container

READS: Final = ("page", "list", "one", "changes", "pins", "mentions", "versions", "threads")


@dataclass(frozen=True)
class Request:
    """What one client sends, and what is done with the response."""

    kind: str
    user_id: str
    channel_id: str
    call: Callable[[Services], Any]
    check: Callable[[Asked, Any], str]
    """Judges a result and names the outcome."""
    failed: Callable[[BaseException], None] = lambda _: None
    position: int = 0
    """That is asked for, where one is."""

    @property
    def what(self) -> str:
        """What outcomes are counted under."""
        return f"thread {self.kind}" if keys.is_thread(self.channel_id) else self.kind

    def __str__(self) -> str:
        return f"{self.kind} by {self.user_id} in {self.channel_id}"


def serve(container: Container, request: Request) -> None:
    """A container serves a request; the judge gets the response, the client the error."""
    world = container.world
    container.thaw()
    world.note(f"{request} BEGINS")
    try:
        outcome = _answer(container, request)
    except DiedError as error:
        world.outcomes[f"{request.what}: container died"] += 1
        request.failed(error)
        raise
    except BudgieError as error:
        request.failed(error)
        outcome = error.code
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        world.violate(f"{request}: {error if isinstance(error, WrongError) else repr(error)}")
        outcome = "WRONG"
    finally:
        container.serving -= 1
    world.outcomes[f"{request.what}: {outcome}"] += 1
    world.note(f"{request} ENDS: {outcome}")


def _answer(container: Container, request: Request) -> str:
    start_meter()
    world, judge = container.world, container.world.judge
    asked = world.ledger.asked(container, request.user_id, request.channel_id)
    try:
        result = request.call(container.services)
    except (NotAMemberError, ChannelNotFoundError):
        judge.refused(asked)
        if request.kind == "page" and not world.crowded:
            judge.refused_page(asked)
        raise
    except (BannedError, CannotSendError, UserBlockedError):
        judge.kept_out(asked)
        raise
    except ChannelArchivedError:
        judge.archived(asked, archived=True)
        raise
    except MessageNotFoundError:
        if request.kind not in {"edit", "change"}:  # They name another message besides the root.
            judge.no_root(asked)
        raise
    except PositionOutOfRangeError:
        judge.out_of_range(asked, request.position)
        raise
    except UnavailableError:
        if request.kind in READS:
            judge.unavailable(asked)
        raise
    return request.check(asked, result)
