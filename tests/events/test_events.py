"""`events/`: one file a route, up to date, and each does what its name says."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from local.template import load as template
from tests.realtime.connections import Connections
from tools.sample_events import SAMPLES, frame_events, rendered

if TYPE_CHECKING:
    from tests.api import Api

ROOT: Final = Path(__file__).resolve().parents[2]
IMAGE: Final = "public.ecr.aws/lambda/python:3.13-x86_64"
STATUSES: Final = (
    dict.fromkeys(
        (
            *("create_channel", "put_member", "post_message", "post_reply", "ban_user", "report_message"),
            "issue_ticket",
        ),
        201,
    )
    | dict.fromkeys(
        (
            "remove_member",
            "archive_channel",
            "delete_message",
            "remove_reaction",
            "pin_message",
            "unpin_message",
        ),
        204,
    )
    | dict.fromkeys(("block_user", "unblock_user", "unban_user", "follow_thread", "unfollow_thread"), 204)
    | {"close_report": 404}  # the id of a report contains its time, so that no file can name it
)
"""Where it is not 200."""


def test_the_files_are_what_the_program_writes() -> None:
    """The files are those that `python -m tools.sample_events` writes, and no others."""
    assert {path.name: path.read_text() for path in (ROOT / "events").iterdir()} == rendered()


def test_every_route_has_one() -> None:
    """Each route has a sample event, which is the event that the template sends."""
    in_template = re.findall(
        r"^        (\w+): \{Type: HttpApi", (ROOT / "template.yaml").read_text(), re.MULTILINE
    )
    names = {re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower() for name in in_template}
    assert {sample.name for sample in SAMPLES} == names
    loaded = template.load(ROOT / "template.yaml", template.WHOLE)
    assert {json.loads(rendered()[f"{sample.name}.json"])["routeKey"] for sample in SAMPLES} == {
        route.key for route in loaded.routes
    }
    assert loaded.websocket
    assert {each["requestContext"]["routeKey"] for each in frame_events().values()} == set(
        loaded.websocket.routes
    )


def test_in_their_order_all_succeed(api: Api) -> None:
    """Run in order from an empty table, every sample event succeeds."""
    for sample in SAMPLES:
        response = api.invoke(json.loads((ROOT / "events" / f"{sample.name}.json").read_text()))
        assert response.status == STATUSES.get(sample.name, 200), f"{sample.name}: {response.body}"


def test_frames_get_a_result(api: Api) -> None:
    """Those of the WebSocket API too; their ticket is made up, so that their connection is unknown."""
    connections, events = Connections(api), frame_events()
    assert connections.opening(events["open_connection"]) == {"statusCode": 401}
    assert '"code":"connection_ended"' in connections.receiving(events["receive_frame"])["body"]
    assert connections.opening(events["close_connection"]) == {"statusCode": 200}


def test_the_documentation_has_them_in_this_order() -> None:
    """Each with its function, as `sam local start-lambda` knows it, on a port that `make run` does not take."""
    section = (ROOT / "docs/deploying.md").read_text().partition("## `sam local`")[2]
    loaded = template.load(ROOT / "template.yaml", template.WHOLE)
    assert loaded.websocket
    functions = {route.key: route.function for route in loaded.routes}
    functions |= {key: route.function for key, route in loaded.websocket.routes.items()}
    said = [tuple(line.split()) for line in section.splitlines() if re.fullmatch(r"\w+ \w+Function", line)]
    events = {name.removesuffix(".json"): json.loads(text) for name, text in rendered().items()}
    keys = {name: each.get("routeKey") or each["requestContext"]["routeKey"] for name, each in events.items()}
    assert said == [(name, functions[key]) for name, key in keys.items()]
    assert "sam local start-lambda --port 3001" in section
    assert "127.0.0.1:3001/2015-03-31/functions/" in section


def test_deploying_writes_into_no_file_of_the_project() -> None:
    """The settings of a deployment go to a copy that git ignores, and are asked for once."""
    for text in ("README.md", "docs/deploying.md"):
        for command in re.findall(r"sam deploy [^`]*--guided[^`]*", (ROOT / text).read_text()):
            assert "--config-file samconfig.local.toml" in " ".join(command.split())
    rules = (ROOT / "Makefile").read_text().partition("\ndeploy: build")[2].partition("\n\n")[0]
    assert "deploy --config-file samconfig.local.toml" in rules
    assert "/samconfig.local.toml" in (ROOT / ".gitignore").read_text().splitlines()


def _sam_can_run_containers() -> bool:
    command = ["docker", "image", "inspect", IMAGE]
    try:
        done = subprocess.run(command, capture_output=True, timeout=20, check=False)  # noqa: S603 - our own command
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def sam(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The SAM CLI, as `make` has installed it."""
    return subprocess.run(  # noqa: S603 - our own command
        [
            ".local/sam-venv/bin/python",
            "-m",
            "samcli",
            *arguments,
            "--parameter-overrides",
            "Architecture=x86_64",
        ],
        cwd=ROOT,
        env=os.environ | {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"} | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.stack
@pytest.mark.artifacts
def test_sam_local_invoke(tmp_path: Path) -> None:
    """`sam local invoke` runs a built artifact in Lambda's own image: a health check that needs nothing else."""
    if not _sam_can_run_containers():
        pytest.skip(f"needs a Docker daemon with the image {IMAGE}")
    shallow = json.loads((ROOT / "events/check_health.json").read_text()) | {"rawQueryString": ""}
    (tmp_path / "event.json").write_text(json.dumps(shallow))
    function, built = "CheckHealthFunction", str(tmp_path / "built")
    made = sam("build", function, "--build-dir", built, ARTIFACT_PLATFORM="x86_64-manylinux2014")
    assert made.returncode == 0, made.stderr
    places = ["--template", f"{built}/template.yaml", "--event", str(tmp_path / "event.json")]
    done = sam("local", "invoke", function, *places, "--skip-pull-image")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["statusCode"] == 200
