"""A small project for the gateway's tests: a template and handlers."""

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.gateway.http_api import Gateway
from local.template.load import load
from local.tokens import AUDIENCE, ISSUER, KeyPair, Verifier

TEMPLATE = """
Globals:
  HttpApi: {CorsConfiguration: {AllowOrigins: ["https://app.example"], AllowMethods: [GET], ExposeHeaders: [ETag]}}
  Function: {Timeout: 5, MemorySize: 256}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Jwt
        Authorizers: {Jwt: {JwtConfiguration: {issuer: "https://budgie.local", audience: [budgie]}}}
"""

FUNCTION = """
  %(name)s:
    Type: AWS::Serverless::Function
    Properties:
      Handler: %(package)s.%(module)s.%(function)s
      Timeout: %(timeout)s
      Events: {Call: {Type: HttpApi, Properties: {Method: %(method)s, Path: "%(path)s", Auth: %(auth)s}}}
"""

PLAIN = """
import threading
import time

barrier = threading.Barrier(8, timeout=5)


def echo(event, context):
    return {"event": event, "context": {
        "function_name": context.function_name,
        "memory_limit_in_mb": context.memory_limit_in_mb,
        "invoked_function_arn": context.invoked_function_arn,
        "aws_request_id": context.aws_request_id,
        "remaining": context.get_remaining_time_in_millis(),
    }}


def answer(event, context):
    return {
        "statusCode": 201,
        "headers": {"ETag": "x", "Access-Control-Allow-Origin": "*"},
        "cookies": ["a=1", "b=2"],
        "body": "AP8=",
        "isBase64Encoded": True,
    }


def crash(event, context):
    raise KeyError("secret text " + event["body"])


def leave(event, context):
    raise SystemExit(3)


def slow(event, context):
    time.sleep(float(event["queryStringParameters"]["s"]))
    return "done"


def wait(event, context):
    return barrier.wait() >= 0


def no_json(event, context):
    return {"statusCode": 200, "body": b"bytes"}


def large(event, context):
    return {"statusCode": 200, "body": "x" * int(event["queryStringParameters"]["n"])}


not_a_function = 3
"""

ASGI = """
import asyncio
import threading

from fastapi import FastAPI, Request
from mangum import Mangum

app = FastAPI()


@app.post("/asgi/{name}")
async def post(name: str, request: Request):
    await asyncio.sleep(0.01)
    return {"name": name, "body": (await request.body()).decode(), "query": str(request.query_params)}


@app.get("/asgi/{name}")
def get(name: str):
    return {"name": name, "cookie": threading.current_thread().name}


handler = Mangum(app, lifespan="off")
"""

ROUTES: list[dict[str, Any]] = [
    {"function": "echo", "method": "ANY", "path": "/open/{id}", "auth": "{Authorizer: NONE}"},
    {"function": "echo", "method": "GET", "path": "/closed", "auth": "{}"},
    *(
        {"function": name, "method": "ANY", "path": f"/{name}", "auth": "{Authorizer: NONE}"}
        for name in ("answer", "crash", "leave", "wait", "no_json", "large", "not_a_function", "missing")
    ),
    {"function": "slow", "method": "GET", "path": "/slow", "auth": "{Authorizer: NONE}", "timeout": 0.3},
    {"function": "slow", "method": "GET", "path": "/slower", "auth": "{Authorizer: NONE}", "timeout": 60},
    {
        "function": "handler",
        "method": "ANY",
        "path": "/asgi/{name}",
        "module": "asgi",
        "auth": "{Authorizer: NONE}",
    },
]

KEYS = KeyPair.create()
_numbers = itertools.count()


class Project:
    """A folder with a template and handlers, in a package of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.package = f"probe_functions_{next(_numbers)}"
        self.lines: list[str] = []
        self.write("plain.py", PLAIN)
        self.write("asgi.py", ASGI)
        functions = "".join(
            FUNCTION % {"name": f"F{i}", "package": self.package, "module": "plain", "timeout": 5, **fields}
            for i, fields in enumerate(ROUTES)
        )
        (root / "template.yaml").write_text(TEMPLATE + functions)

    def write(self, name: str, text: str) -> None:
        """Write a module of the package."""
        path = self.root / self.package / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def gateway(self, **options: Any) -> Gateway:
        """A gateway with these handlers."""
        verifier = Verifier(KEYS.public_key, ISSUER, AUDIENCE)
        options = {"template": load(self.root / "template.yaml")} | options
        return Gateway(root=self.root, verifier=verifier, log=self.lines.append, **options)


@contextmanager
def probe_project(root: Path) -> Iterator[Project]:
    """A project whose modules are removed at the end."""
    made = Project(root)
    yield made
    for name in [name for name in sys.modules if name.split(".")[0] == made.package]:
        del sys.modules[name]
