"""Processes of ``bench.load``, each ended by the end of its input: ``python -m bench.lib.gateway engines|NAME …``.

``engines STATE KIND`` runs what `make run` runs: the DynamoDB engine, Redis behind an Upstash endpoint. It says in
which environment handlers find them. ``NAME STATE`` runs the gateway before one contender. It says where, and answers
each line of its input with the seconds of processor time that it has used so far. What handlers log goes nowhere, at
the same cost.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Final, TextIO

import boto3
from botocore.config import Config
from botocore.session import get_session

from bench.lib.functions import ROOT
from local import tokens
from local.gateway.http_api import Gateway
from local.settings import LocalSettings
from local.stack import TEMPLATE, Stack
from local.template import load as template

BUDGIE, USUAL, FLOOR = "budgie", "usual", "floor"
HANDLERS: Final = {USUAL: "bench.baseline.usual.handler", FLOOR: "bench.baseline.constant.handler"}
CHANNELS: Final = "GET /v1/channels"
ROUTES: Final = frozenset(
    {CHANNELS, *(f"{each} /v1/channels/{{channel_id}}/messages" for each in ("GET", "POST"))}
)
CONNECTIONS: Final = 32
"""Connections to DynamoDB that a process may keep, as ours asks for: boto3's 10 are for one request at a time, and here
one process plays many containers."""


def main(arguments: list[str]) -> int:
    """Runs until the input ends."""
    said = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    if arguments[0] == "engines":
        run_engines(Path(arguments[1]), arguments[2], said)
    else:
        run_gateway(arguments[0], Path(arguments[1]), said)
    return 0


def run_engines(state: Path, kind: str, said: TextIO) -> None:
    """The local stack; its own gateway stays idle, as each contender has one in a process of its own."""
    settings = LocalSettings(port=0, dynamodb_engine=kind, dynamodb_port=0, redis_port=0, upstash_port=0)
    environ = dict(os.environ)
    with Stack(settings, ROOT, directory=state, environ=environ, log=lambda _line: None):
        print(json.dumps(environ), file=said, flush=True)
        sys.stdin.read()


def run_gateway(name: str, state: Path, said: TextIO) -> None:
    """The gateway with the routes of the load test, before the contender's handlers."""
    keys = tokens.KeyPair.load_or_create(state)
    if name == USUAL:
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
        print(json.dumps({"port": gateway.port}), file=said, flush=True)
        for _ in sys.stdin:
            print(json.dumps({"cpu_seconds": time.process_time()}), file=said, flush=True)


def contender(name: str) -> template.Template:
    """Our API, with the contender's handler behind each route of the load test."""
    ours = template.load(ROOT / TEMPLATE, {"JwtIssuer": tokens.ISSUER, "JwtAudience": tokens.AUDIENCE})
    routes = [route for route in ours.routes if route.key in ROUTES]
    if name != BUDGIE:
        routes = [replace(route, handler=HANDLERS[name]) for route in routes]
    return replace(ours, routes=tuple(routes), throttle=None)  # What is measured is what lies behind it.


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
