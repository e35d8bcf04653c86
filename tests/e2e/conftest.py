"""One stack for the tests that break nothing in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.running import RunningStack, running_stack

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack with the settings of a deployment."""
    with running_stack(tmp_path_factory.mktemp("stack")) as started:
        yield started
