"""The demo posts everything, detects every kind of loss, and works from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from local.demo.client import Response
from local.demo.conversations import Conversation, Conversations, Turn
from local.demo.replay import READER, ApiError, Posted, ReadBack, create_channel, read_back
from local.demo.run import Result, conclude, main, report, run, running
from local.demo.worker_pool import J, R, WorkerPool
from shared.bootstrap import Services
from shared.settings import Settings
from tests.api import Api as Functions
from tests.e2e.running import running_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[3]


class InProcess:
    """The functions without a network."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def call(
        self,
        method: str,
        path: str,
        user: str | None = None,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """As `local.demo.client.Client.call`."""
        parts = urlsplit(path)
        lowered = {name.lower(): value for name, value in (headers or {}).items()}
        query = dict(parse_qsl(parts.query))
        response = self._functions(method, parts.path, user=user, body=body, query=query, headers=lowered)
        return Response(response.status, response.headers, response.body.encode(), seconds=0.25)


class Careless(InProcess):
    """Acknowledges all posts, but does not store some of them."""

    def call(self, method: str, path: str, user: str | None = None, **rest: Any) -> Response:
        """A text with a marker is acknowledged and dropped."""
        if method == "POST" and (rest["body"] or {}).get("text") == "drop me":
            return Response(201, {}, b'{"seq":2}')
        return super().call(method, path, user, **rest)


@pytest.fixture
def functions(services: Services) -> Functions:
    """The functions over a store in memory, without rate limits."""
    return Functions(replace(services, settings=Settings(rate_burst=1000)))


class Alone(WorkerPool[InProcess]):
    """A pool of one worker, in this thread."""

    def __init__(self, api: InProcess) -> None:
        super().__init__(lambda _: nullcontext(api), 1)
        self._api = api

    def work(self, work: Callable[[InProcess, J], R], jobs: Sequence[J]) -> list[R]:
        """One job after the other."""
        return [work(self._api, job) for job in jobs]


def _told_to(api: InProcess, *conversations: Conversation) -> Result:
    return run(Conversations(list(conversations)), Alone(api))


def _conversation(*texts: str, name: str = "talk") -> Conversation:
    return Conversation(name, [Turn(("ada", "grace")[n % 2], text) for n, text in enumerate(texts)])


def test_everything_comes_back_as_it_was_posted(functions: Functions) -> None:
    """Each conversation in order, under its speakers' names; status 0."""
    talks = [_conversation(*(f"{name} {n} 🐦" for n in range(120)), name=name) for name in ("one", "two")]
    result = _told_to(InProcess(functions), *talks)
    assert result.faults.total() == 0
    assert [[each.turn for each in posted.sent] for posted in result.posted] == [talk.turns for talk in talks]
    assert [[each["sender"] for each in found.messages] for found in result.found] == [
        ["ada", "grace"] * 60
    ] * 2
    assert conclude(result) == 0


def test_the_report_has_the_figures(functions: Functions) -> None:
    """Messages, percentiles, conflicts, retries and the comparison."""
    said = "\n".join(report(_told_to(InProcess(functions), _conversation("a", "b"))))
    for figure in ("posted     2 messages", "p50 250 ms, p99 250 ms", "lost 0, doubled 0, out of order 0"):
        assert figure in said
    assert said.endswith("Nothing is lost, duplicated or out of order.")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x" * 4001, "at most 4000 characters"),
        ("bell \a", "contains U+0007"),
        (" \n ", "contains no visible character"),
        ("\ud800", ""),
    ],
)
def test_what_the_api_refuses_is_reported(functions: Functions, text: str, reason: str) -> None:
    """A refused text is reported with place and reason; the others are posted."""
    result = _told_to(InProcess(functions), _conversation("before", text, "after"))
    (posted,) = result.posted
    assert [each.turn.text for each in posted.sent] == ["before", "after"]
    (refusal,) = posted.refused
    assert refusal.startswith("talk, message 2: ")
    assert reason in refusal
    assert refusal in "\n".join(report(result)).replace(" " * 11, "")


def test_what_was_left_out_is_said_at_the_end(functions: Functions) -> None:
    """By kind and place; the report then does not say that nothing was lost."""
    talk = Conversation(
        "talk", [Turn("ada", "hi", "12.5"), Turn("ada", "x" * 4001, "13.5")], "public", "t" * 900
    )
    result = run(Conversations([talk], {"reactions": ["talk 12.5"]}), Alone(InProcess(functions)))
    said = "\n".join(report(result))
    assert "left out   reactions: 1\n           talk 12.5\n" in said
    assert "talk, 13.5: " in said
    assert "talk, its topic" in said
    assert "Nothing is lost" not in said
    assert said.endswith(
        "Left out: reactions (1), messages that the API does not accept (1), names and topics that were cut (1)."
    )
    assert conclude(result) == 0


def test_kind_and_topic_of_a_channel_are_kept(functions: Functions) -> None:
    """A public conversation can be found by anybody, a private one only by its members."""
    api = InProcess(functions)
    for kind in ("public", "private"):
        _told_to(api, Conversation(kind, [Turn("ada", "hi")], kind, "Say hello"))
    found = api.call("GET", "/v1/channels?scope=public", "stranger").json["channels"]
    assert [(each["name"], each["topic"]) for each in found] == [("public", "Say hello")]


def test_an_api_that_forgets_is_found_out(functions: Functions, capsys: pytest.CaptureFixture[str]) -> None:
    """An acknowledged message that is missing is reported, with status 1."""
    result = _told_to(Careless(functions), _conversation("a", "drop me", "b"))
    assert result.faults["lost"] == 1
    assert conclude(result) == 1
    assert "lost 1, " in capsys.readouterr().out


def test_an_error_of_the_api_ends_the_demo(functions: Functions) -> None:
    """A response that is neither an acknowledgement nor a refusal of the text is an error."""
    with pytest.raises(ApiError, match="404"):
        read_back(InProcess(functions), "0123456789abcdef", lambda: None)


def test_pages_that_do_not_meet_are_a_fault(functions: Functions) -> None:
    """A page that skips positions, or a log that ends early, is counted."""

    class Skipping(InProcess):
        def call(self, method: str, path: str, user: str | None = None, **rest: Any) -> Response:
            return super().call(method, path.replace("after=0", "after=2"), user, **rest)

    result = _told_to(Skipping(functions), _conversation("a", "b", "c"))
    assert +result.faults == Counter({"lost": 2, "gaps between pages": 1})


def test_many_speakers_fit_into_a_channel(functions: Functions) -> None:
    """Members beyond the limit of a creation are added one by one; any name becomes a channel's name."""
    turns = [Turn(f"speaker {n}/{n}".replace("/", "-"), "hello") for n in range(60)]
    api = InProcess(functions)
    channel_id = create_channel(api, Conversation("\n" + "ä" * 200, turns), "key")
    page = api.call("GET", f"/v1/channels/{channel_id}/members?limit=100", READER).json
    assert len(page["members"]) == 61


def test_a_source_that_is_not_there_is_an_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Status 1, and the reason."""
    assert main([str(tmp_path / "nothing.jsonl")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_no_stack_runs_where_none_was_started(tmp_path: Path) -> None:
    """An empty state directory, or one whose owner has died, has no address."""
    assert running(tmp_path) is None
    (tmp_path / "lock").write_text('{"pid": 1, "started": "never", "url": "http://127.0.0.1:3000"}')
    assert running(tmp_path) is None


def _demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-m", "local.demo.run", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.stack
def test_the_demo_starts_a_stack_of_its_own(tmp_path: Path) -> None:
    """Without a running stack the sample is posted with status 0, and only empty state remains."""
    done = _demo("--state", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "Nothing is lost, duplicated or out of order." in done.stdout
    assert "posted     153 messages" in done.stdout
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["lock"]


@pytest.mark.stack
def test_the_demo_uses_the_stack_that_runs(tmp_path: Path) -> None:
    """It posts to the running stack and waits as its rate limits require."""
    source = tmp_path / "monologue.jsonl"
    turns = [["ada", f"line {number}"] for number in range(6)]
    source.write_text(json.dumps({"conversation": "monologue", "turns": turns}))
    with running_stack(tmp_path, RATE_LIMIT_PER_SECOND="1", RATE_LIMIT_BURST="2") as stack:
        done = _demo("--state", str(tmp_path), str(source))
        assert f"telling them to {stack.url}" in done.stdout
        assert "429: " in done.stdout
        assert "slowed     by the stack's limits" in done.stdout
        assert done.returncode == 0, done.stderr
        with stack.client() as client:
            (channel,) = client.call("GET", "/v1/channels", READER).json["channels"]
    assert (channel["name"], channel["last_message"]["text"]) == ("monologue", "line 5")


def test_retries_and_voids_are_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Retries are reported by status, over all conversations."""
    posted = [
        Posted("a", "c1", retries=Counter({429: 2})),
        Posted("b", "c2", retries=Counter({429: 1, 0: 1})),
    ]
    found = [ReadBack([], 1, 0), ReadBack([], 2, 0)]
    assert conclude(Result(posted, found, 1.0, 1.0)) == 0
    said = capsys.readouterr().out
    assert "429: 3, broken connection: 1" in said
    assert "3 positions without a message" in said
