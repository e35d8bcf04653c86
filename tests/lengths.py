"""How much `make test` does: a short form, or with LONG_TESTS=1 the long one."""

from __future__ import annotations

import os
from typing import Final

LONG: Final = bool(os.environ.get("LONG_TESTS"))


def examples(few: int) -> int:
    """How many examples Hypothesis draws: ``few``, or ten times as many in the long form."""
    return few * 10 if LONG else few
