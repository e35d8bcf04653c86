"""DynamoDB refuses many attempts: how many are made then, and is all well? `python -m tests.chaos.throttling`.

Requests go through the use cases and the client that the functions use, over an engine of its own behind a proxy that
throttles on the wire; so what is counted is what AWS would be asked, whoever repeats it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from bench.lib import command
from local.dynamodb import engine as dynamodb
from local.dynamodb.faults import Chances, FaultyDynamoDB
from local.processes import Processes
from local.template.load import load
from operators.capacity import table
from shared.aws.connect import dynamodb_client
from shared.aws.protocol import AwsClient
from shared.bootstrap import Services, compose
from shared.domain import keys
from shared.domain.clock import now_ms
from shared.domain.errors import UnavailableError
from shared.domain.messages import Draft
from shared.domain.model import Head, Kind, Membership, Role
from shared.observability.meter import start_meter
from shared.settings import Settings
from shared.storage.dynamodb import DynamoDBStore
from shared.use_cases.fetch_messages import Window, fetch_messages
from shared.use_cases.list_channels import Listing, list_channels
from shared.use_cases.mark_read import mark_read
from shared.use_cases.post_message import post_message
from tests.chaos.checker import Checker

TABLE: Final = "budgie-throttled"
TEMPLATE: Final = Path(__file__).resolve().parents[2] / "template.yaml"
SHARES: Final = (0.0, 0.3, 1.0)
"""Of attempts that are refused. All of them: an outage, in which retries only add to it."""
THROTTLED: Final = 0.3
MOST_ATTEMPTS: Final = 1.5
ROUNDS: Final = 40
SEED: Final = 3


class CountedClient:
    """A DynamoDB client whose calls are counted: each is one attempt, if all goes well."""

    def __init__(self, client: AwsClient) -> None:
        self._client = client
        self.calls = 0

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The client's response, counted."""
        self.calls += 1
        return self._client.call(operation, arguments)

    def close(self) -> None:
        """Closes the client."""
        self._client.close()


class Team:
    """A channel whose members post, poll, list and mark as read, and an onlooker of it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.checker = Checker()
        self.channel = keys.new_channel_id()
        head = Head(self.channel, Kind.PRIVATE, "lobby", "", "ada", now_ms(), members=2)
        members = [Membership(user, self.channel, Role.MEMBER, now_ms()) for user in ("ada", "eve")]
        services.store.create_channel(head, members)
        self.outcomes: Counter[str] = Counter()

    def visit(self, number: int) -> None:
        """One of each request; a post that fails is not repeated."""
        text = f"message {number} of {self.channel}"
        self.checker.sends(self.channel, text)
        self._ask(lambda: self._post(text, f"key-{number}"))
        self._ask(lambda: self._poll(number))
        self._ask(lambda: list_channels(self._services, "eve", Listing(50)))
        self._ask(lambda: mark_read(self._services, "eve", self.channel, 1, force=True))

    def read_all(self) -> None:
        """Compares everything that is stored with what was acknowledged."""
        head = self._services.store.head(self.channel)
        assert head is not None
        entries = self._services.store.entries(self.channel, 1, max(head.seq, 2))
        self.checker.audit(self.channel, [_message(each.body) for each in entries if each.body])

    def _ask(self, request: Callable[[], object]) -> None:
        start_meter()
        try:
            request()
        except UnavailableError as error:
            self.outcomes[error.code if error.retry_after else "without Retry-After"] += 1
        else:
            self.outcomes["ok"] += 1

    def _post(self, text: str, key: str) -> None:
        posted = post_message(self._services, "ada", self.channel, [Draft(text)], key)
        self.checker.posted(self.channel, text, _message(posted.bodies[0]))

    def _poll(self, number: int) -> None:
        end, after = self.checker.end(self.channel), number // 2
        head = self._services.store.head(self.channel)
        window = Window(100, after=min(after, head.seq if head else 0))
        page = fetch_messages(self._services, "eve", self.channel, window, frozenset())
        if page.body is not None and not page.stale:
            self.checker.page(self.channel, window.after or 0, 100, _message(page.body), end)


def _message(body: bytes) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(body)
    return made


@contextmanager
def proxied(engine: str) -> Iterator[FaultyDynamoDB]:
    """An engine behind the proxy, its table made, and the environment that clients of it need."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes = stack.enter_context(Processes(directory))
        url = dynamodb.start_engine(engine, directory, processes)
        made = dynamodb.client(url)
        stack.callback(made.close)
        dynamodb.ensure_table(made, TABLE, load(TEMPLATE))
        proxy = stack.enter_context(FaultyDynamoDB(url, SEED))
        before = dict(os.environ)
        os.environ |= {
            **dynamodb.CREDENTIALS,
            "AWS_DEFAULT_REGION": dynamodb.REGION,
            "NO_PROXY": "127.0.0.1,localhost",
        }
        stack.callback(os.environ.update, before)
        yield proxy


def measure(proxy: FaultyDynamoDB, share: float, rounds: int) -> dict[str, Any]:
    """So many visits, with this share of attempts refused."""
    settings = Settings(
        table_name=TABLE, dynamodb_endpoint_url=proxy.url, rate_per_second=1000, rate_burst=9999
    )
    client = CountedClient(dynamodb_client(settings))
    team = Team(compose(settings, DynamoDBStore(client, TABLE)))
    client.calls = 0
    proxy.attempts.clear()
    proxy.struck.clear()
    proxy.chances = Chances(throttled=share)
    for number in range(rounds):
        team.visit(number)
    proxy.chances = Chances()
    attempts, calls, requests = proxy.attempts.total(), client.calls, team.outcomes.total()
    team.read_all()
    return {
        "throttled": share,
        "requests": requests,
        "ok": team.outcomes["ok"],
        "503": requests - team.outcomes["ok"],
        "calls": calls,
        "attempts": attempts,
        "attempts_per_call": round(attempts / calls, 2),
        "calls_per_request": round(calls / requests, 2),
        "attempts_per_request": round(attempts / requests, 2),
        "without_retry_after": team.outcomes["without Retry-After"],
        "violations": team.checker.violations.total(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, and says whether the targets were met."""
    parser = command.parser("attempts at DynamoDB while it throttles")
    parser.add_argument("--engine", default=dynamodb.default_engine(), choices=dynamodb.ENGINES)
    options = parser.parse_args(arguments)
    rounds = 4 if options.tiny else ROUNDS
    with proxied(options.engine) as proxy:
        results = []
        for share in SHARES:
            print(f"{share:.0%} throttled", file=sys.stderr, flush=True)
            # An outage takes long to wait for, and all of its requests are alike.
            results.append(measure(proxy, share, rounds if share < 1 else max(2, rounds // 10)))
    calm, throttled = results[0], next(each for each in results if each["throttled"] == THROTTLED)
    storm = throttled["attempts_per_request"] / calm["attempts_per_request"]
    targets = {
        f"at {THROTTLED:.0%}: at most {MOST_ATTEMPTS} attempts a call": (
            throttled["attempts_per_call"] <= MOST_ATTEMPTS
        ),
        f"at {THROTTLED:.0%}: at most {MOST_ATTEMPTS} times the attempts a request of a calm day": (
            storm <= MOST_ATTEMPTS
        ),
        "every refusal says when to come back": not any(each["without_retry_after"] for each in results),
        "no violation": not any(each["violations"] for each in results),
    }
    text = table(list(results[0]), [list(each.values()) for each in results])
    shown = {"bench": "throttled", "engine": options.engine, "times_a_calm_day": round(storm, 2)}
    return command.finish(options, {**shown, "shares": results}, targets, text)


if __name__ == "__main__":
    sys.exit(main())
