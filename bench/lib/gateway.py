"""The processes of ``bench.load``: the engines, and a gateway for each contender. Each ends when its pipe is closed."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.session import get_session

from bench.lib.functions import ROOT
from local import tokens
from local.gateway.http_api import Gateway
from local.settings import LocalSettings
from local.stack import TEMPLATE, Stack
from local.template import load as template

BUDGIE, BASELINE, FLOOR = "budgie", "baseline", "floor"
HANDLERS: Final = {BASELINE: "bench.baseline.usual.handler", FLOOR: "bench.baseline.constant.handler"}
MESSAGES: Final = "/v1/channels/{channel_id}/messages"
ROUTES: Final = frozenset({"GET /v1/channels", f"GET {MESSAGES}", f"POST {MESSAGES}"})
CONNECTIONS: Final = 32
"""DynamoDB connections of a process, as Budgie's client has: boto3's 10 are meant for one request at a time, but here
one process runs many containers."""
END_SECONDS: Final = 60


@contextmanager
def running(
    serve: Callable[..., None], environ: Mapping[str, str], *arguments: object
) -> Iterator[Connection]:
    """Runs ``serve(pipe, *arguments)`` in a process with this environment; yields the other end of the pipe."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(serve, dict(environ), theirs, *arguments))
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(END_SECONDS)
        process.kill()


def _run(
    serve: Callable[..., None], environ: Mapping[str, str], pipe: Connection, *arguments: object
) -> None:
    os.environ.clear()
    os.environ.update(environ)
    # Powertools keeps one set of metrics per process; with concurrent requests one finds it empty, and warns.
    warnings.filterwarnings("ignore", category=UserWarning)
    os.dup2(
        os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
    )  # Log lines cost what they cost, but go nowhere.
    try:
        serve(pipe, *arguments)
    except EOFError:
        return


def serve_engines(pipe: Connection, state: Path, kind: str) -> None:
    """Runs the local stack, and sends the environment in which handlers find it. Its own gateway stays idle."""
    settings = LocalSettings(port=0, dynamodb_engine=kind, dynamodb_port=0, redis_port=0, upstash_port=0)
    environ = dict(os.environ)
    with Stack(settings, ROOT, directory=state, environ=environ, log=lambda _line: None):
        pipe.send(environ)
        pipe.recv()


def serve_contender(pipe: Connection, name: str, state: Path) -> None:
    """Runs a gateway, sends its port, and answers each message with the CPU seconds that the process has used."""
    keys = tokens.KeyPair.load_or_create(state)
    if name == BASELINE:
        session = get_session()
        session.set_default_client_config(Config(max_pool_connections=CONNECTIONS))
        boto3.setup_default_session(botocore_session=session)
    with Gateway(
        template=contender(name),
        root=ROOT,
        verifier=tokens.Verifier(keys.public_key, tokens.ISSUER, tokens.AUDIENCE),
        reload=False,
        log=lambda _line: None,
        docs=False,
    ) as gateway:
        pipe.send(gateway.port)
        while True:
            pipe.recv()
            pipe.send(time.process_time())


def contender(name: str) -> template.Template:
    """Our API without throttling, with the contender's handler behind each route of the load test."""
    ours = template.load(ROOT / TEMPLATE, {"JwtIssuer": tokens.ISSUER, "JwtAudience": tokens.AUDIENCE})
    routes = [route for route in ours.routes if route.key in ROUTES]
    if name != BUDGIE:
        routes = [replace(route, handler=HANDLERS[name]) for route in routes]
    changes: Any = {"routes": tuple(routes), "throttle": None}
    return replace(ours, **changes)
