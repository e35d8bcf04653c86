"""The API against its own document: `python -m tests.chaos.fuzz`, or `make fuzz`, which installs what it needs.

Schemathesis reads `openapi.json` and sends what it allows, and what it forbids, to a local stack of this run's own, as
several users over channels of theirs. Nothing may be answered that the document does not say, nothing taken that it
forbids, and nothing may be a 5xx. Rounds follow each other, each with its own seed, until enough requests were counted
by the stack itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.lib import command
from local.demo.client import Client
from local.settings import LocalSettings
from local.stack import Stack

ROOT: Final = Path(__file__).resolve().parents[2]
SCHEMATHESIS: Final = ROOT / ".local/fuzz-venv/bin/schemathesis"
USERS: Final = ("ada", "grace", "eve")
"""An owner, a member, and somebody who is in no channel. Their rounds follow each other."""
EXAMPLES: Final = 25
"""Cases of each operation in a round, beside those that follow from the document alone."""
NOT_APPLIED: Final = {
    "unsupported_method": "HTTP APIs answer 404 where it wants 405; `unknown_method_is_404` takes its place",
    "use_after_free": "nothing is deleted: an archived channel stays to be read, that is what archiving is",
    "object_level_authorization": "users differ by token in each round; who may do what is for the tests of that",
}
"""Checks of schemathesis that are left out, and why."""
ACCEPTED: Final = ["2xx", "304", 401, 403, 404, 409, 412, 422, 429]
"""For valid requests; `validity_is_documented` looks into what is behind a 412 or 422. No 5xx."""
REFUSED: Final = [400, 401, 403, 404, 409, 412, 413, 422, 429]
"""For invalid ones."""
TARGET: Final = "no answer and no accepted request that the document does not allow"


@dataclass
class StatusCounts:
    """How often the stack gave each status."""

    statuses: Counter[str] = field(default_factory=Counter)

    def __call__(self, line: str) -> None:
        """Takes a line of the gateway's log: time, method, path, status and so on."""
        parts = line.split(" ")
        if len(parts) > 3 and parts[3].isdigit():
            self.statuses[parts[3]] += 1
            if self.requests % 500 == 0:
                print(f"{self.requests} requests", file=sys.stderr)
        else:
            print(line, file=sys.stderr)

    @property
    def requests(self) -> int:
        """How many in all."""
        return self.statuses.total()


def main() -> int:
    """Runs rounds until there were enough requests, and says what failed."""
    # Terminated, it stops its engines too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    arguments = _arguments()
    counts, failures, seed = StatusCounts(), list[str](), arguments.seed
    with tempfile.TemporaryDirectory() as folder, _stack(Path(folder), counts) as stack:
        while counts.requests < arguments.requests and not failures:
            said = _round(stack, Path(folder), seed, arguments)
            failures += [said] if said else []
            print(f"seed {seed} is done after {counts.requests} requests", file=sys.stderr)
            seed += 1
    server_errors = sum(count for status, count in counts.statuses.items() if status >= "5")
    targets = {
        TARGET: not failures,
        "no 5xx": not server_errors,
        f"at least {arguments.requests} requests": counts.requests >= arguments.requests,
    }
    results = {
        "requests": counts.requests,
        "statuses": dict(sorted(counts.statuses.items())),
        "seeds": [arguments.seed, seed - 1],
        "left_out": NOT_APPLIED,
    }
    return command.finish(arguments, results, targets, "\n".join([*failures, json.dumps(results, indent=1)]))


def _arguments() -> Any:
    parser = command.parser(__doc__ or "")
    parser.add_argument("--requests", type=int, default=10_000, help="at least so many (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the first round (%(default)s)")
    parser.add_argument(
        "--document", type=Path, default=ROOT / "openapi.json", help="another document than ours"
    )
    arguments = parser.parse_args()
    if arguments.tiny:
        arguments.requests = 1
    if not SCHEMATHESIS.exists():
        parser.error("schemathesis is not installed: `make fuzz` does so")
    return arguments


def _stack(folder: Path, log: StatusCounts) -> Stack:
    # Fast enough for most posts to pass, slow enough for some to meet 429.
    os.environ |= {"RATE_LIMIT_PER_SECOND": "20", "RATE_LIMIT_BURST": "60", "LOG_LEVEL": "ERROR"}
    settings = LocalSettings(port=0, dynamodb_port=0, redis_port=0, upstash_port=0)
    return Stack(settings, ROOT, directory=folder / "state", log=log)


def _round(stack: Stack, folder: Path, seed: int, arguments: Any) -> str:
    """One run of schemathesis, as one user; what it said if it was not content."""
    user = USERS[seed % len(USERS)]
    channels, messages = _seeded(stack)
    configuration = folder / "schemathesis.toml"
    configuration.write_text(_configuration(stack.token_for(user), channels, messages))
    command = [
        str(SCHEMATHESIS),
        "--config-file",
        str(configuration),
        "run",
        str(arguments.document.resolve()),
    ]
    command += ["--url", stack.url, "--seed", str(seed), "--no-color", "--continue-on-failure"]
    command += ["--max-examples", "2" if arguments.tiny else str(EXAMPLES)]
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {
        "SCHEMATHESIS_HOOKS": "tests.chaos.fuzz_hooks",
        "PYTHONPATH": str(ROOT),
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(  # noqa: S603 - our own text
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else f"as {user}, seed {seed}:\n{done.stdout}\n{done.stderr}"


def _seeded(stack: Stack) -> tuple[list[str], list[str]]:
    """Channels with messages, of which eve is in none, and an archived one; ids that the document cannot name."""
    channels, messages = [], []
    with Client(stack.url, stack.token_for) as client:
        for kind in ("public", "private", "public", "private"):
            body = {"kind": kind, "name": "lobby", "members": ["grace", "linus"]}
            channel = client.call("POST", "/v1/channels", "ada", body=body).json["id"]
            for number in range(3):
                batch = {"messages": [{"text": f"{number}.{each}"} for each in range(20)]}
                posted = client.call("POST", f"/v1/channels/{channel}/messages", "ada", body=batch)
                messages.append(posted.json["messages"][0]["id"])
            channels.append(channel)
        client.call("DELETE", f"/v1/channels/{channels[0]}", "ada")
    return channels, messages


def _configuration(token: str, channels: list[str], messages: list[str]) -> str:
    """A schemathesis.toml. JSON's texts, numbers and arrays are TOML's too."""
    chosen = {
        "path.channel_id": ("channels", 0.7),
        "path.message_id": ("messages", 0.7),
        "path.user_id": ("users", 0.7),
    }
    lines = [
        f"headers = {{ Authorization = {json.dumps('Bearer ' + token)} }}",
        *(
            f"dictionaries.{name}.values = {json.dumps(values)}"
            for name, values in _values(channels, messages)
        ),
        *(
            f"parameters.{json.dumps(name)} = {{ dictionary = {json.dumps(values)}, probability = {share} }}"
            for name, (values, share) in chosen.items()
        ),
        f"checks.positive_data_acceptance.expected-statuses = {json.dumps(ACCEPTED)}",
        f"checks.negative_data_rejection.expected-statuses = {json.dumps(REFUSED)}",
        *(f"checks.{name}.enabled = false" for name in NOT_APPLIED),
        "warnings = false",
    ]
    return "\n".join(lines) + "\n"


def _values(channels: list[str], messages: list[str]) -> list[tuple[str, list[str]]]:
    return [("channels", channels), ("messages", messages), ("users", ["me", "linus", "grace", "eve"])]


if __name__ == "__main__":
    sys.exit(main())
