"""Tasks that take turns: one runs at a time, up to its next step; a seeded choice says whose turn it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from random import Random

SPEEDS = (1.0, 1.0, 0.3, 0.03)
"""How often a task gets its turn: some stand still in the middle while others do much."""


class _Task:
    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work
        self.go = threading.Semaphore(0)
        self.ended = False
        self.failure: BaseException | None = None


class Turns:
    """Runs tasks in threads, one at a time, so that a seed always gives the same course of events."""

    def __init__(self, random: Random) -> None:
        self.steps = 0
        self._random = random
        self._own = threading.local()
        self._back = threading.Semaphore(0)

    def step(self) -> None:
        """Where a task may be made to wait; outside of tasks nothing."""
        task: _Task | None = getattr(self._own, "task", None)
        if task is not None:
            self.steps += 1
            self._back.release()
            task.go.acquire()

    def run(self, works: Sequence[Callable[[], None]]) -> None:
        """All of them, to their ends.

        Raises:
            BaseException: what one of them raised; the others still went on.
        """
        tasks = [_Task(work) for work in works]
        speeds = {task: self._random.choice(SPEEDS) for task in tasks}
        threads = [threading.Thread(target=self._run, args=(task,), daemon=True) for task in tasks]
        for thread in threads:
            thread.start()
        while going := [task for task in tasks if not task.ended]:
            [task] = self._random.choices(going, [speeds[each] for each in going])
            task.go.release()
            self._back.acquire()
        for thread in threads:
            thread.join()
        for failure in [task.failure for task in tasks if task.failure]:
            raise failure

    def _run(self, task: _Task) -> None:
        self._own.task = task
        task.go.acquire()
        try:
            task.work()
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            task.failure = error
        task.ended = True
        self._back.release()
