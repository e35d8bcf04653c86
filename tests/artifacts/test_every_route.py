"""Every route responds the same in process, behind the local gateway, and as the artifact that would be deployed."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Final

import pytest

from local.gateway.routing import Routes
from local.processes import Processes
from local.template import load as template
from shared.runtime.machine import FILE as MACHINE_FILE
from tests.api import event
from tests.artifacts.emulator import BUILT, ROOT, Emulator
from tests.artifacts.tour import SECRET, Tour
from tests.endpoint import TOKEN
from tools.artifacts import USES_REDIS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api import Api
    from tests.artifacts.conftest import GatewayApi
    from tests.artifacts.emulator import EmulatedApi

ROUTES: Final = template.load(ROOT / "template.yaml", template.WHOLE).routes


def test_in_process(api: Api) -> None:
    """Over the storage in memory; and the tour calls every route that there is."""
    tour = Tour(api)
    tour.take()
    matched = [Routes(ROUTES).match(method, path) for method, path in tour.called]
    assert {each[0].key for each in matched if each} == {route.key for route in ROUTES}


@pytest.mark.stack
def test_behind_the_local_gateway(gateway: GatewayApi) -> None:
    """As `make run` serves it."""
    Tour(gateway, redis="ok").take()


@pytest.mark.stack
@pytest.mark.artifacts
@pytest.mark.skipif(sys.platform != "linux", reason="the emulator is a program for Linux")
def test_as_built_artifacts(emulated: EmulatedApi) -> None:
    """Under AWS's emulator, with nothing but what Lambda's runtime brings; twice, cold and warm."""
    for _ in range(2):
        Tour(emulated, redis="ok").take()
    assert emulated.emulators.keys() == {route.function for route in ROUTES}
    assert len(emulated.asked) == len(USES_REDIS), (
        "each that uses Redis reads its token, once, and no other does"
    )
    for name, emulator in emulated.emulators.items():
        lines = _lines(emulator.log)
        assert lines, name
        assert TOKEN not in emulator.log
        assert SECRET not in emulator.log


@pytest.mark.stack
@pytest.mark.artifacts
@pytest.mark.skipif(sys.platform != "linux", reason="the emulator is a program for Linux")
def test_an_artifact_for_another_machine_says_so(tmp_path: Path) -> None:
    """Its function does not start, and the log has the sentence that says what to do."""
    route = next(route for route in ROUTES if route.path == "/v1/healthz")
    shutil.copytree(BUILT / route.function, tmp_path / "artifact")
    (tmp_path / "artifact" / MACHINE_FILE).write_text("m68k\n")
    with Processes(tmp_path / "run") as processes:
        emulator = Emulator(route, {}, processes, tmp_path / "artifact")
        response = emulator.send(event("GET", "/v1/healthz"))
        assert "statusCode" not in response
        assert "built for m68k" in emulator.log
        assert "manylinux2014 sam build" in emulator.log


def _lines(log: str) -> list[dict[str, object]]:
    """The functions' own lines, one JSON object each, among the emulator's."""
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]
