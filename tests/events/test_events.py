"""`events/`: one file a route, up to date, and each does what its name says."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from local import template
from local.sample_events import SAMPLES, rendered

if TYPE_CHECKING:
    from tests.api import Api

ROOT: Final = Path(__file__).resolve().parents[2]
IMAGE: Final = "public.ecr.aws/lambda/python:3.13-x86_64"
STATUSES: Final = {"create_channel": 201, "put_member": 201, "post_message": 201} | dict.fromkeys(
    ("remove_member", "archive_channel"), 204
)
"""Where it is not 200."""


def test_the_files_are_what_the_program_writes() -> None:
    """`python -m local.sample_events` writes them anew; nothing else lies there."""
    assert {path.name: path.read_text() for path in (ROOT / "events").iterdir()} == rendered()


def test_every_route_has_one() -> None:
    """Called as the route's event in the template."""
    in_template = re.findall(
        r"^        (\w+): \{Type: HttpApi", (ROOT / "template.yaml").read_text(), re.MULTILINE
    )
    names = {re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower() for name in in_template}
    assert {sample.name for sample in SAMPLES} == names
    keys = {json.loads(text)["routeKey"] for text in rendered().values()}
    assert keys == {route.key for route in template.load(ROOT / "template.yaml").routes}


def test_in_their_order_all_succeed(api: Api) -> None:
    """On an empty table, each finds what those before it made."""
    for sample in SAMPLES:
        answer = api.invoke(json.loads((ROOT / "events" / f"{sample.name}.json").read_text()))
        assert answer.status == STATUSES.get(sample.name, 200), f"{sample.name}: {answer.body}"


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
