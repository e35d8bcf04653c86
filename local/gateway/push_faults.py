"""Faults on the way of frames to clients, as production may have them; only tests ask for them."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

MAX_DELAY: Final = 0.5
"""Seconds that a delayed frame takes at most, and that a reordered one waits for another to overtake it."""
MAX_FRAMES_LEFT: Final = 20
"""Frames that a function sends at most before it is killed in the middle of its sending."""

_Result = TypeVar("_Result")


class KilledError(Exception):
    """The function was killed: its invocation failed."""


@dataclass(frozen=True, slots=True)
class Chances:
    """Probabilities, with a sum of at most 1: for each frame to a client, the invocations, and the ends of connections.

    Attributes:
        dropped: accepted, and never sent.
        doubled: sent twice.
        delayed: sent up to `MAX_DELAY` later.
        reordered: sent after the connection's next frame.
        disconnected: the connection breaks instead, without a close frame.
        gone: refused with 410, while the connection goes on. Only of what functions send by themselves.
        busy: refused with 429; half of the time sent nevertheless. Only of what functions send by themselves.
        killed_before: the function that dispatches the table's stream is not invoked, and its invocation fails.
        killed_amid: it is killed when it has sent some of its frames, fewer than `MAX_FRAMES_LEFT`.
        killed_after: it is killed when it has done everything.
        untold: no function is called for a connection's end: AWS does so "on a best-effort basis".

    Raises:
        ValueError: there are no such probabilities.
    """

    dropped: float = 0.0
    doubled: float = 0.0
    delayed: float = 0.0
    reordered: float = 0.0
    disconnected: float = 0.0
    gone: float = 0.0
    busy: float = 0.0
    killed_before: float = 0.0
    killed_amid: float = 0.0
    killed_after: float = 0.0
    untold: float = 0.0

    def __post_init__(self) -> None:
        for fates in (FATES, DEATHS, ENDS):
            chances = [getattr(self, name) for name in fates]
            if not all(isinstance(each, int | float) and each >= 0 for each in chances) or sum(chances) > 1:
                raise ValueError("probabilities are numbers from 0 on, with a sum of at most 1")


FATES: Final = ("dropped", "doubled", "delayed", "reordered", "disconnected", "gone", "busy")
"""Of a frame."""
DEATHS: Final = ("killed_before", "killed_amid", "killed_after")
"""Of an invocation."""
ENDS: Final = ("untold",)
"""Of a connection."""
ALL: Final = (*FATES, *DEATHS, *ENDS)
_OF_PUSHES: Final = frozenset({"gone", "busy"})


class Faults:
    """Draws the fate of frames, invocations and ends; thread-safe.

    Attributes:
        chances: may be replaced at any time.
        struck: faults by kind.
    """

    def __init__(self, seed: int = 0) -> None:
        self.chances = Chances()
        self.struck: Counter[str] = Counter()
        self._random = random.Random(seed)  # noqa: S311  # repeatable faults, nothing secret
        self._lock = threading.Lock()
        self._frames_left: int | None = None

    def arm(self, document: Any) -> None:  # noqa: ANN401  # any JSON may have been sent
        """Replace the chances by those in a JSON object; its `seed` seeds the generator again.

        Raises:
            ValueError: the document has none.
        """
        try:
            given = dict(document)
            seed = given.pop("seed", None)
            chances = Chances(**given)
        except TypeError as error:
            raise ValueError(f"an object with a seed and {', '.join(ALL)}") from error
        with self._lock:
            self.chances = chances
            if seed is not None:
                self._random.seed(seed)

    def draw(self, *, pushed: bool) -> str:
        """The fate of a frame: a name of `FATES`, or empty. `pushed`: a function sends it by itself."""
        return self._draw([fate for fate in FATES if pushed or fate not in _OF_PUSHES])

    def is_untold(self) -> bool:
        """Whether no function is called for the end of a connection."""
        return bool(self._draw(ENDS))

    def run(self, invoke: Callable[[], _Result]) -> _Result:
        """Invoke the function that dispatches the table's stream, once at a time; it may be killed.

        What a dead function sends is accepted and lost, also of the others that send meanwhile.

        Raises:
            KilledError: it was killed.
            Exception: what `invoke` raises.
        """
        death = self._draw(DEATHS)
        if death == "killed_before":
            raise KilledError
        self._frames_left = int(self.fraction() * MAX_FRAMES_LEFT) if death == "killed_amid" else None
        try:
            result = invoke()
        finally:
            self._frames_left = None
        if death:
            raise KilledError
        return result

    def is_from_the_dead(self) -> bool:
        """Whether a frame comes from a function that was killed before it could send it."""
        with self._lock:
            if self._frames_left:
                self._frames_left -= 1
                return False
            return self._frames_left is not None

    def is_hit(self) -> bool:
        """Tosses a coin."""
        return self.fraction() < 0.5  # noqa: PLR2004  # as often as not

    def fraction(self) -> float:
        """A number from 0 to 1."""
        with self._lock:
            return self._random.random()

    def _draw(self, fates: Sequence[str]) -> str:
        with self._lock:
            draw = self._random.random()
            for fate in fates:
                chance = getattr(self.chances, fate)
                if draw < chance:
                    self.struck[fate] += 1
                    return fate
                draw -= chance
        return ""
