"""What ``bench.contention`` is to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bench.contending.faults import FAIR
from bench.contending.shift import BUDGIE

MAX_SPREAD: Final = 5.0
MAX_UNITS: Final = 7.2
MIN_FAIRNESS: Final = 0.5
MAX_VOIDS: Final = 0.001
MIN_OF_LIMIT: Final = 0.85


def targets(cells: Sequence[dict[str, Any]], limits: Sequence[dict[str, Any]]) -> dict[str, bool]:
    """What was to be shown, and whether it was; nothing of crowds where there were none."""
    ours = [cell for cell in cells if cell["side"] == BUDGIE]
    fair = [cell for cell in ours if cell["weather"] == FAIR]
    alone = {cell["readers"]: cell["posts_per_second"] for cell in fair if cell["writers"] == 1}
    crowds = [cell for cell in fair if cell["writers"] >= 16]  # noqa: PLR2004 - the target's number
    found = {
        f"p99 at most {MAX_SPREAD:g} times the median, without faults": all(
            (cell["p99_of_p50"] or 99) <= MAX_SPREAD for cell in fair
        ),
        f"at most {MAX_UNITS} write units a post, without faults": all(
            cell["write_units_per_post"] <= MAX_UNITS for cell in fair
        ),
        f"the slowest writer commits at least {MIN_FAIRNESS:g} of the mean, without faults": all(
            cell["slowest_writer_of_mean"] >= MIN_FAIRNESS for cell in fair
        ),
        f"voids are at most {MAX_VOIDS:.1%} of the posts, without faults": all(
            cell["voids_of_posts"] <= MAX_VOIDS for cell in fair
        ),
        f"at least {MIN_OF_LIMIT:.0%} of the engine's own limit": all(
            each["of_limit"] >= MIN_OF_LIMIT for each in limits
        ),
        "every log is dense and holds each acknowledged message once, in order": not any(
            cell["log_faults"] for cell in cells
        ),
        "no post is given up": not any(cell["given_up"] for cell in ours),
    }
    if crowds:
        found["16 and 64 writers commit at least as many posts a second as 1"] = all(
            cell["posts_per_second"] >= alone[cell["readers"]] for cell in crowds
        )
    return found
