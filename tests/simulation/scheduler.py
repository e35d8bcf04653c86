"""Virtual time: fibers that run one at a time, each until it waits; the earliest wake-up goes next."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

from greenlet import getcurrent, greenlet

START_MS: Final = 1_800_000_000_000
"""When every simulated world begins, in milliseconds since 1970."""


class DiedError(BaseException):
    """The container ended here. No code of the project's can catch it."""


class Fiber(greenlet):
    """One strand of work in a container; a ``shared.runtime.parallel.Task``.

    Args:
        loop: what wakes it.
        work: what it does.
        freezes: whether it stands still while the container serves no request, as Lambda's background work does.
    """

    def __init__(self, loop: Loop, work: Callable[[], None], host: Host | None, *, freezes: bool) -> None:
        super().__init__(self._run, loop.hub)
        self._loop = loop
        self._work = work
        self.host = host
        self.freezes = freezes
        self.ticket = 0
        """Which wake-up counts: those of earlier waits are void."""
        self.ended = False
        self._joining: list[Fiber] = []

    def _run(self) -> None:
        try:
            if not self.doomed:
                self._work()
        except DiedError:
            pass
        finally:
            self.ended = True
            if self.host is not None:
                self.host.fibers.pop(self, None)
            for fiber in self._joining:
                self._loop.wake(fiber)

    @property
    def doomed(self) -> bool:
        """Whether its container has died."""
        return self.host is not None and self.host.dead

    def is_alive(self) -> bool:
        """See ``Task``."""
        return not self.ended

    def join(self, timeout: float | None = None) -> None:
        """See ``Task``: in virtual seconds."""
        if self.ended:
            return
        current = self._loop.current()
        self._joining.append(current)
        self._loop.wait(None if timeout is None else timeout * 1000)
        if current in self._joining:
            self._joining.remove(current)


class Host:
    """What fibers run in, and die with."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.fibers: dict[Fiber, None] = {}
        """In the order of their start: a set's order would differ from run to run."""
        self.frozen: list[Fiber] = []
        self.serving = 0
        self.dead = False

    def start(self, work: Callable[[], None], *, freezes: bool) -> Fiber:
        """A fiber of this host's."""
        fiber = Fiber(self._loop, work, self, freezes=freezes)
        self.fibers[fiber] = None
        self._loop.wake(fiber)
        return fiber

    def thaw(self) -> None:
        """A request begins: background work goes on."""
        frozen, self.frozen = self.frozen, []
        for fiber in frozen:
            self._loop.wake(fiber)

    def die(self) -> None:
        """Ends all of its fibers at once.

        Raises:
            DiedError: where it was one of them that called.
        """
        self.dead = True
        current = getcurrent()
        for fiber in self.fibers:
            if fiber is not current:
                self._loop.wake(fiber)
        if current in self.fibers:
            raise DiedError


class Loop:
    """Wakes fibers in the order of virtual time."""

    def __init__(self) -> None:
        self.hub = getcurrent()
        self.now = float(START_MS)
        self._queue: list[tuple[float, int, Fiber]] = []
        self._tickets = 0
        self.stopped = False

    def current(self) -> Fiber:
        """The fiber that runs."""
        fiber = getcurrent()
        assert isinstance(fiber, Fiber)
        return fiber

    def wake(self, fiber: Fiber, after_ms: float = 0.0) -> None:
        """Resumes a fiber after so many milliseconds, whatever it waits for."""
        self._tickets += 1
        fiber.ticket = self._tickets
        heappush(self._queue, (self.now + after_ms, self._tickets, fiber))

    def spawn(self, work: Callable[[], None], after_ms: float = 0.0) -> None:
        """Work outside of any container."""
        self.wake(Fiber(self, work, None, freezes=False), after_ms)

    def wait(self, milliseconds: float | None) -> None:
        """Lets time pass for the current fiber; None until another wakes it.

        Raises:
            DiedError: its container died meanwhile.
        """
        fiber = self.current()
        if not fiber.doomed:
            if milliseconds is None:
                fiber.ticket = -1
            else:
                self.wake(fiber, milliseconds)
            self.hub.switch()
        if fiber.doomed:
            raise DiedError

    def run(self) -> None:
        """Runs until nothing is left to do or it is stopped."""
        while self._queue and not self.stopped:
            at, ticket, fiber = heappop(self._queue)
            if ticket != fiber.ticket or fiber.ended:
                continue
            self.now = max(self.now, at)
            host = fiber.host
            if host is not None and fiber.freezes and not host.serving and not host.dead:
                host.frozen.append(fiber)
                continue
            fiber.switch()

    def unwind(self) -> None:
        """Ends the fibers of dead hosts, and leaves all else as it is."""
        while self._queue:
            _, ticket, fiber = heappop(self._queue)
            if fiber.doomed and ticket == fiber.ticket and not fiber.ended:
                fiber.switch()
