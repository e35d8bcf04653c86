"""Faults on the way of frames to clients, as production may have them; only tests ask for them."""

import random
import threading
from collections import Counter
from dataclasses import dataclass, fields
from typing import Any, Final

MAX_DELAY: Final = 0.5
"""Seconds that a delayed frame takes at most, and that a reordered one waits for another to overtake it."""


@dataclass(frozen=True, slots=True)
class Chances:
    """Probabilities for each frame to a client; their sum is at most 1.

    Attributes:
        dropped: accepted, and never sent.
        doubled: sent twice.
        delayed: sent up to `MAX_DELAY` later.
        reordered: sent after the connection's next frame.
        disconnected: the connection breaks instead, without a close frame.
        gone: refused with 410, while the connection goes on. Only of what functions send by themselves.
        busy: refused with 429; half of the time sent nevertheless. Only of what functions send by themselves.

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

    def __post_init__(self) -> None:
        chances = [getattr(self, name) for name in FATES]
        if not all(isinstance(chance, int | float) and chance >= 0 for chance in chances) or sum(chances) > 1:
            raise ValueError("probabilities are numbers from 0 on, with a sum of at most 1")


FATES: Final = tuple(field.name for field in fields(Chances))
_OF_PUSHES: Final = frozenset({"gone", "busy"})


class Faults:
    """Draws each frame's fate; thread-safe.

    Attributes:
        chances: may be replaced at any time.
        struck: faults by kind.
    """

    def __init__(self, seed: int = 0) -> None:
        self.chances = Chances()
        self.struck: Counter[str] = Counter()
        self._random = random.Random(seed)  # noqa: S311  # repeatable faults, nothing secret
        self._lock = threading.Lock()

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
            raise ValueError(f"an object with a seed and {', '.join(FATES)}") from error
        with self._lock:
            self.chances = chances
            if seed is not None:
                self._random.seed(seed)

    def draw(self, *, pushed: bool) -> str:
        """The fate of a frame: a name of `FATES`, or empty. `pushed`: a function sends it by itself."""
        with self._lock:
            draw = self._random.random()
            for fate in FATES:
                chance = getattr(self.chances, fate)
                if draw < chance:
                    if fate in _OF_PUSHES and not pushed:
                        break
                    self.struck[fate] += 1
                    return fate
                draw -= chance
        return ""

    def is_hit(self) -> bool:
        """Tosses a coin."""
        return self.fraction() < 0.5  # noqa: PLR2004  # as often as not

    def fraction(self) -> float:
        """A number from 0 to 1."""
        with self._lock:
            return self._random.random()
