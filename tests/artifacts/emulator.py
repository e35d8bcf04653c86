"""Built artifacts under AWS's Lambda Runtime Interface Emulator, whose program the SAM CLI brings along."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from local import ports
from local.dynamodb.engine import CREDENTIALS, REGION
from local.gateway.routing import Routes
from local.template.load import Route, Template
from tests.api import Response, event, response_of

if TYPE_CHECKING:
    from local.processes import Child, Processes

ROOT: Final = Path(__file__).resolve().parents[2]
BUILT: Final = ROOT / ".local/artifacts/build"
PYTHON: Final = ROOT / ".local/rie-venv/bin/python"
INVOCATIONS: Final = "/2015-03-31/functions/function/invocations"
_PROGRAMS: Final = {"x86_64": "x86_64", "aarch64": "arm64"}


def program() -> Path:
    """The emulator for this machine."""
    name = f"aws-lambda-rie-{_PROGRAMS[platform.machine()]}"
    return next((ROOT / ".local/sam-venv").glob(f"lib/python3*/site-packages/samcli/local/rapid/{name}"))


class Emulator:
    """One function's container.

    Args:
        route: any route of the function.
        variables: its environment.
        processes: what it is stopped by.
        task: the artifact's folder, if not the one that was built.
    """

    def __init__(
        self, route: Route, variables: Mapping[str, str], processes: Processes, task: Path | None = None
    ) -> None:
        self._task = task or BUILT / route.function
        self._port = ports.choose(0)
        addresses = [
            *("--runtime-interface-emulator-address", f"{ports.LOOPBACK}:{self._port}"),
            *("--runtime-api-address", f"{ports.LOOPBACK}:{ports.choose(0)}"),
        ]
        runtime = [str(PYTHON), "-m", "awslambdaric", route.handler]
        self._child: Child = processes.start(
            route.function,
            [str(program()), *addresses, *runtime],
            env=_environment(route, self._task) | dict(variables),
            cwd=self._task,
        )
        self._child.wait_ready(lambda: ports.is_open(self._port))

    @property
    def log(self) -> str:
        """What the function and the emulator have written."""
        return self._child.log.read_text(errors="replace")

    def invoke(self, made: dict[str, Any]) -> dict[str, Any]:
        """The function's result."""
        text = self.send(made)
        try:
            result: dict[str, Any] = json.loads(text)
        except ValueError:  # its own errors are no JSON
            raise AssertionError(f"{text}\n{self.log}") from None
        assert "statusCode" in result, f"{text}\n{self.log}"
        return result

    def send(self, made: dict[str, Any]) -> str:
        """What comes back, a result or an error. One at a time: two at once crash the emulator."""
        connection = HTTPConnection(ports.LOOPBACK, self._port, timeout=30)
        try:
            connection.request("POST", INVOCATIONS, json.dumps(made))
            return connection.getresponse().read().decode()
        finally:
            connection.close()


def _environment(route: Route, task: Path) -> dict[str, str]:
    """What Lambda sets, and nothing of this process: no path to the project, no settings of the developer's."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(task),
        "LAMBDA_TASK_ROOT": str(task),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        **CREDENTIALS,
        "AWS_LAMBDA_FUNCTION_NAME": route.function,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(route.memory),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(round(route.timeout)),
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    }


@dataclass
class EmulatedApi:
    """All functions, each in a container of its own that starts with its first request.

    `asked` grows by the name of each parameter that they read from Systems Manager.
    """

    template: Template
    variables: Mapping[str, str]
    processes: Processes
    asked: list[str]

    def __post_init__(self) -> None:
        self._routes = Routes(self.template.routes)
        self.emulators: dict[str, Emulator] = {}

    def __call__(self, method: str, path: str, **rest: Any) -> Response:
        """See `tour.Caller`."""
        return self.invoke(event(method, path, **rest))

    def invoke(self, made: dict[str, Any]) -> Response:
        """The response of the function that serves the event's route."""
        request = made["requestContext"]["http"]
        matched = self._routes.match(request["method"], request["path"])
        assert matched is not None
        return response_of(self._emulator(matched[0]).invoke(made))

    def _emulator(self, route: Route) -> Emulator:
        if route.function not in self.emulators:
            declared = self.template.environment(route.function)
            self.emulators[route.function] = Emulator(route, declared | dict(self.variables), self.processes)
        return self.emulators[route.function]
