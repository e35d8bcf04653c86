"""The whole local stack: DynamoDB engine, table, Redis, Upstash REST endpoint, gateway."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from local import ports, tokens
from local.dynamodb import engine as dynamodb
from local.processes import Child, Keeper, Processes
from local.settings import refuse_unusable
from local.template import load as template
from local.upstash import valkey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping
    from pathlib import Path
    from types import TracebackType

    from local.settings import LocalSettings

TEMPLATE: Final = "template.yaml"
_TOKEN_FILE: Final = "upstash-token"  # noqa: S105  # a file's name
_NO_PROXY: Final = f"{ports.LOOPBACK},localhost"
# A developer's settings for real accounts must not reach our engine, or change how it is called.
_NOT_OURS: Final = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB")


class Stack:
    """A context manager: after entering, the API is served at `url`; after leaving, nothing runs any more.

    Args of the constructor:
        settings: what to start, and where.
        root: the project: `template.yaml`, `functions/`, `shared/`.
        directory: of state, logs and records, for one stack at a time. By default `.local` in `root`.
        environ: where the handlers' variables are set, and restored at the end.
        log: takes one line per request, and messages for a person.
    """

    url: str
    """The address of the API."""
    realtime_url: str
    """The address of the WebSocket API; empty without one."""
    dynamodb_url: str
    upstash_url: str

    def __init__(
        self,
        settings: LocalSettings,
        root: Path,
        *,
        directory: Path | None = None,
        environ: MutableMapping[str, str] = os.environ,
        log: Callable[[str], None] = print,
    ) -> None:
        self._settings = settings
        self._root = root
        self._directory = directory or root / ".local"
        self._environ = environ
        self._log = log
        self._keys: tokens.KeyPair | None = None
        self._keeper = Keeper(log)
        self._open = contextlib.ExitStack()

    @property
    def failed(self) -> threading.Event:
        """Set when an engine cannot be kept running; the stack is then unusable."""
        return self._keeper.failed

    def __enter__(self) -> Self:
        """Start everything.

        Raises:
            AlreadyRunningError: a stack runs on the same directory.
            ChildFailedError: an engine did not start; the text has the end of its log.
            EndpointUnusableError: the DynamoDB engine refuses us or is unreachable.
            EngineMissingError: an engine is not installed.
            SettingError: a variable of the functions is invalid.
            TableDiffersError: the table of an earlier run does not match `template.yaml`.
        """
        refuse_unusable(self._environ)
        # If anything fails or is interrupted, what was started so far is stopped.
        with contextlib.ExitStack() as opened:
            processes = opened.enter_context(Processes(self._directory))
            self._start(processes, opened)
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def token_for(self, user: str) -> str:
        """Return a token that the gateway accepts, valid for a day.

        Raises:
            RuntimeError: the stack was never entered.
        """
        if self._keys is None:
            raise RuntimeError("the stack was never started")
        return self._keys.issue(user)

    def _start(self, processes: Processes, opened: contextlib.ExitStack) -> None:
        # Both engines start while we import the rest; only then do we wait for them.
        engine = self._launch_dynamodb(processes)
        redis, redis_port = self._launch_redis(processes)
        self._keys = tokens.KeyPair.load_or_create(self._directory)
        from local.gateway.connections import Durations
        from local.gateway.http_api import Gateway

        upstash_token = self._start_upstash(opened, redis, redis_port)
        loaded = self._load_template()
        opened.enter_context(_variables(self._environ, self._handler_variables(upstash_token)))
        if engine is not None:
            engine.wait_ready()
            self._keeper.keep(engine.child, engine.is_ready)
        dynamodb.set_up(self.dynamodb_url, self._environ, self._settings.table_name, loaded)
        verifier = tokens.Verifier(self._keys.public_key, tokens.ISSUER, tokens.AUDIENCE)
        gateway = Gateway(
            template=loaded,
            root=self._root,
            verifier=verifier,
            port=self._port("PORT", self._settings.port, "the API"),
            log=self._log,
            concurrency=self._settings.concurrency,
            durations=Durations(
                idle=self._settings.realtime_idle_seconds, total=self._settings.realtime_connection_seconds
            ),
        )
        self.url, self.realtime_url = gateway.url, gateway.realtime_url
        opened.enter_context(_variables(self._environ, {"REALTIME_URL": self.realtime_url}))
        gateway.start()
        opened.callback(gateway.close)
        opened.enter_context(self._keeper)
        known = {
            "dynamodb": self.dynamodb_url,
            "upstash": self.upstash_url,
            "table": self._settings.table_name,
        }
        processes.announce(self.url, **known)

    def _port(self, variable: str, preferred: int, server: str) -> int:
        """The preferred port, or another one, with a message, if it is in use."""
        chosen = ports.choose(preferred)
        if preferred and chosen != preferred:
            self._log(f"{variable}={preferred} is taken: {server} listens on {chosen} instead.")
        return chosen

    def _launch_dynamodb(self, processes: Processes) -> dynamodb.Engine | None:
        settings = self._settings
        if settings.dynamodb_endpoint_url:
            self.dynamodb_url = settings.dynamodb_endpoint_url
            return None
        port = self._port("DYNAMODB_PORT", settings.dynamodb_port, "the DynamoDB engine")
        engine = dynamodb.launch_engine(settings.dynamodb_engine, self._directory, processes, port=port)
        self.dynamodb_url = engine.url
        return engine

    def _launch_redis(self, processes: Processes) -> tuple[Child | None, int]:
        if self._settings.upstash_redis_rest_url:
            return None, 0
        port = self._port("REDIS_PORT", self._settings.redis_port, "Redis")
        argv = valkey.command(port, self._directory / "valkey-state")
        return processes.start("valkey", argv), port

    def _start_upstash(self, opened: contextlib.ExitStack, redis: Child | None, redis_port: int) -> str:
        """Start the endpoint unless the developer has an Upstash database; return the token of either."""
        if redis is None:
            self.upstash_url = self._settings.upstash_redis_rest_url
            return self._settings.upstash_redis_rest_token
        from local.upstash.endpoint import UpstashEndpoint

        token = _kept_token(self._directory / _TOKEN_FILE)
        redis.wait_ready(lambda: _answers(redis_port))
        self._keeper.keep(redis, lambda: _answers(redis_port))
        port = self._port("UPSTASH_PORT", self._settings.upstash_port, "the Upstash REST endpoint")
        endpoint = UpstashEndpoint(redis_port=redis_port, token=token, port=port)
        endpoint.start()
        opened.callback(endpoint.close)
        self.upstash_url = endpoint.url
        return token

    def _load_template(self) -> template.Template:
        overrides = {
            "JwtIssuer": tokens.ISSUER,
            "JwtAudience": tokens.AUDIENCE,
            "Realtime": self._settings.realtime,
            "Table": self._settings.table_name,
            "UpstashRedisRestUrl": self.upstash_url,
        }
        if self._settings.throttle_rate:
            overrides["ThrottleRate"] = overrides["ThrottleBurst"] = str(self._settings.throttle_rate)
        return template.load(self._root / TEMPLATE, overrides)

    def _handler_variables(self, upstash_token: str) -> dict[str, str | None]:
        """The handlers' variables; None removes a variable."""
        # A developer's proxy is not used for our own addresses.
        given = self._environ.get("NO_PROXY") or self._environ.get("no_proxy")
        direct = ",".join(filter(None, (given, _NO_PROXY)))
        always: dict[str, str | None] = {
            "NO_PROXY": direct,
            "no_proxy": direct,
            "TABLE_NAME": self._settings.table_name,
            "DYNAMODB_ENDPOINT_URL": self.dynamodb_url,
            "UPSTASH_REDIS_REST_URL": self.upstash_url,
            "UPSTASH_REDIS_REST_TOKEN": upstash_token,
            "POWERTOOLS_SERVICE_NAME": "budgie",
            "POWERTOOLS_DEV": "false",
        }
        if not self._settings.dynamodb_endpoint_url:
            return {**always, **_region(dynamodb.REGION), **dynamodb.CREDENTIALS, **dict.fromkeys(_NOT_OURS)}
        # The developer's own engine: region and credentials are theirs too, if set.
        region = self._environ.get("AWS_REGION") or self._environ.get("AWS_DEFAULT_REGION")
        has_credentials = any(name in self._environ for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"))
        made_up = {} if has_credentials or not _is_local(self.dynamodb_url) else dynamodb.CREDENTIALS
        return {**always, **_region(region or dynamodb.REGION), **made_up}


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in {ports.LOOPBACK, "localhost", "::1"}


def _region(name: str) -> dict[str, str | None]:
    return {"AWS_REGION": name, "AWS_DEFAULT_REGION": name}


@contextlib.contextmanager
def _variables(environ: MutableMapping[str, str], changes: dict[str, str | None]) -> Iterator[None]:
    """Set variables within the context."""
    before = {name: environ.get(name) for name in changes}
    _apply(environ, changes)
    try:
        yield
    finally:
        _apply(environ, before)


def _apply(environ: MutableMapping[str, str], changes: dict[str, str | None]) -> None:
    for name, value in changes.items():
        if value is None:
            environ.pop(name, None)
        else:
            environ[name] = value


def _kept_token(path: Path) -> str:
    """Return the endpoint's token, which is created at the first start and readable by its owner only."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32))
    return path.read_text()


def _answers(redis_port: int) -> bool:
    try:
        valkey.wait_ready(redis_port, timeout=0)
    except TimeoutError:
        return False
    return True
