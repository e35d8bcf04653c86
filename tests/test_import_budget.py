"""Which modules each handler may load, by name, from its start in Lambda until it waits for its first request.

``tests/import_budget.json`` has the names. Each further module costs time at every cold start. `UPDATE=1 make test
ARGS="-n 0 tests/test_import_budget.py"` rewrites the file, so that a review shows what a change loads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tools.artifacts import USES_REDIS

ROOT: Final = Path(__file__).resolve().parent.parent
BUDGET: Final = Path(__file__).with_name("import_budget.json")
FUNCTIONS: Final = sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py"))
NEVER: Final = {
    *("boto3", "botocore.session", "urllib3", "backports", "cryptography"),
    *("shared.web.docs", "shared.web.response_models"),
}
"""Loaded when needed, if ever. Powertools loads botocore's outermost module, which is small."""
REDIS: Final = {"upstash_redis", "httpx"}
"""The Redis SDK and its HTTP client: loaded where a function uses Redis and an address is set, else never."""
LAMBDA: Final = {
    "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
}
UPSTASH: Final = {
    "UPSTASH_REDIS_REST_URL": "https://name.upstash.io",
    "UPSTASH_REDIS_REST_TOKEN": "token",
}
LOADED: Final = """
import json, sys
before = set(sys.modules)
%s
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def modules_after(imports: str, *, redis: bool) -> list[str]:
    """The modules that imports load in Lambda, without or with a Redis database configured."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", LOADED % imports],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **LAMBDA, **(UPSTASH if redis else {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


@cache
def loaded(function: str, *, redis: bool = False) -> list[str]:
    """The modules that a container of a function has loaded at the end of INIT."""
    return modules_after(f"import functions.{function}.handler", redis=redis)


def budget_of(names: list[str]) -> dict[str, list[str]]:
    """Our modules, and the packages of others."""
    ours = [name for name in names if name.split(".")[0] in {"functions", "shared"}]
    others = {name.split(".")[0] for name in names} - {"functions", "shared"}
    packages = [name for name in others - sys.stdlib_module_names if not name.startswith("_sysconfigdata")]
    return {"ours": ours, "packages": sorted(packages)}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_handler_loads_what_its_budget_names(function: str) -> None:
    """The modules are exactly those that the file names."""
    found = budget_of(loaded(function))
    if os.environ.get("UPDATE"):
        known = json.loads(BUDGET.read_text()) if BUDGET.exists() else {}
        BUDGET.write_text(json.dumps(known | {function: found}, indent=1, sort_keys=True) + "\n")
    assert found == json.loads(BUDGET.read_text())[function]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_handler_loads_what_takes_long(function: str) -> None:
    """No handler loads an AWS, HTTP or Redis client, a codec or the OpenAPI texts, whatever the file names."""
    assert not (NEVER | REDIS) & set(loaded(function))


@pytest.mark.parametrize("function", sorted(USES_REDIS))
def test_the_redis_sdk_is_loaded_during_init_where_it_will_be_used(function: str) -> None:
    """With a database configured, the functions whose artifacts hold the SDK have loaded it at the end of INIT."""
    found = set(loaded(function, redis=True))
    assert found >= REDIS
    assert not NEVER & found


def test_the_other_functions_never_load_the_redis_sdk() -> None:
    """Not even with a database configured."""
    others = ", ".join(f"functions.{each}.handler" for each in FUNCTIONS if each not in USES_REDIS)
    assert not (NEVER | REDIS) & set(modules_after(f"import {others}", redis=True))
