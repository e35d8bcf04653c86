"""The commands that the README shows are run as printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from tests.e2e.running import ROOT

if TYPE_CHECKING:
    from tests.e2e.running import RunningStack

pytestmark = pytest.mark.stack

HEADING: Final = "## A tour with curl"
GIVEN: Final = ("URL", "ADA", "GRACE")
"""What the first block sets, and the test sets to its own."""


def blocks(markdown: str) -> list[str]:
    """The bash blocks below the tour's heading, up to the next heading of that level."""
    _, found, rest = markdown.partition(f"\n{HEADING}\n")
    assert found, f"README.md has no heading {HEADING!r}"
    return re.findall(r"^```bash\n(.*?)^```$", rest.partition("\n## ")[0], re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "curl", "python3"))), reason="the tour needs bash, curl and python3"
)
def test_the_tour_works(stack: RunningStack) -> None:
    """Each command succeeds, and says what the README says that it does."""
    setting, *tour = blocks((ROOT / "README.md").read_text())
    assert [line.partition("=")[0] for line in setting.splitlines()] == list(GIVEN)
    numbered = [f"echo '--- block {number}'\n{block}" for number, block in enumerate(tour, 2)]
    given = dict(zip(GIVEN, [stack.url, *map(stack.token_for, ("ada", "grace"))], strict=True))
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],  # noqa: S607  # wherever it lies
        input="\n".join(numbered),
        env=os.environ | given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.count("--- block") == len(tour) > 2
    assert "idempotency-replayed: true" in done.stdout.lower()
    assert "304\n" in done.stdout
    assert '"unread_count":2' in done.stdout
    for kind in ("edited", "reaction_added", "pinned", "deleted"):
        assert f'"kind":"{kind}"' in done.stdout
    assert '"is_read":true' in done.stdout
    assert '"reads":[{"user_id":"ada","last_read_seq":3}' in done.stdout
    assert all(f'"archived":{each}' in done.stdout for each in ("true", "false"))
    assert all(f'"kind":"{each}"' in done.stdout for each in ("group", "direct"))
