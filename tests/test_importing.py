"""Importing loads little, reads no settings and opens no connection."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py"))
DEPLOYED = sorted([*ROOT.glob("shared/**/*.py"), *ROOT.glob("functions/**/*.py")])

# What importing a handler may load besides the standard library: the framework, and what that needs itself.
MAY_LOAD = frozenset(
    {
        "functions",
        "shared",
        "fastapi",
        "starlette",
        "anyio",
        "annotated_doc",
        "opentelemetry",
        "mangum",
        "pydantic",
        "pydantic_core",
        "annotated_types",
        "typing_extensions",
        "typing_inspection",
    }
)
# What libraries ask for themselves when one of our models, apps or Mangum's event loop is made.
SWITCHES = (
    "reads PYDANTIC_DISABLE_PLUGINS",
    "reads PYTHONASYNCIODEBUG",
    "reads OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS",
    "reads FASTAPI_OTEL_AUTO_CONFIGURE",
    "looks for AWS_LAMBDA_RUNTIME_API",  # ours: in Lambda alone a container makes ready before its first request
)
# Started by the interpreter itself, before any import of ours.
NOT_OURS = frozenset({"_distutils_hack", "sitecustomize", "usercustomize", "__main__", "__mp_main__"})

WATCH = """
import json, os, socket, sys, traceback
from importlib import import_module

ROOT, MODULES = sys.argv[1:2] or [os.getcwd()], %r
OURS = tuple(os.path.join(ROOT[0], each) + os.sep for each in ("shared", "functions"))
reads = []

def note(what):
    # From the act outward: what a library does while it is itself being imported is not ours.
    for frame, _ in traceback.walk_stack(sys._getframe(2)):
        name = frame.f_code.co_filename
        if "importlib" in name:
            return
        if os.path.abspath(name).startswith(OURS):
            reads.append(f"{what} at {os.path.relpath(name, ROOT[0])}:{frame.f_lineno}")
            return

class Watched(dict):
    def __getitem__(self, key):
        note(f"reads {key}")
        return super().__getitem__(key)
    def get(self, key, default=None):
        note(f"reads {key}")
        return super().get(key, default)
    def __contains__(self, key):
        note(f"looks for {key}")
        return super().__contains__(key)
    def __iter__(self):
        note("lists the environment")
        return super().__iter__()
    def keys(self):
        note("lists the environment")
        return super().keys()
    def items(self):
        note("lists the environment")
        return super().items()
    def copy(self):
        note("copies the environment")
        return super().copy()

def refuse(*args, **kwargs):
    raise AssertionError("a connection at import")

os.environ = Watched(os.environ)
socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = socket.create_connection = refuse
for module in MODULES:
    import_module(module)
print(json.dumps(reads))
"""


def module_of(path: Path) -> str:
    """A file's module."""
    return path.relative_to(ROOT).as_posix().removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def run(code: str) -> Any:
    """Runs code in a fresh interpreter, in the project, and returns the JSON that it prints."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_importing_reads_no_environment_and_opens_no_connection() -> None:
    """Importing any module of ours reads no environment variable and opens no connection."""
    reads = run(WATCH % [module_of(path) for path in DEPLOYED])
    assert not [each for each in reads if not each.startswith(SWITCHES)]


def test_the_watch_sees_a_read_at_import(tmp_path: Path) -> None:
    """The test above can fail: a module that reads the environment when it is imported is reported."""
    package = tmp_path / "shared"
    package.mkdir()
    (package / "careless.py").write_text("import os\nX = os.environ.get('A')\nY = os.getenv('B')\n")
    code = f"import os, sys; os.chdir({str(tmp_path)!r}); sys.path.insert(0, {str(tmp_path)!r})\n"
    reads = run(code + WATCH % ["shared.careless"])
    assert reads == ["reads A at shared/careless.py:2", "reads B at shared/careless.py:3"]


def test_importing_handlers_loads_the_framework_alone() -> None:
    """Outside of Lambda handlers load no AWS client, HTTP client, Redis client or log library."""
    imports = "; ".join(f"import functions.{function}.handler" for function in FUNCTIONS)
    code = f"import json, sys; {imports}; print(json.dumps(sorted(sys.modules)))"
    loaded = {module.split(".")[0] for module in run(code)}
    third = {
        each
        for each in loaded
        if not each.startswith("_sysconfigdata") and each not in sys.stdlib_module_names
    }
    assert not third & {"boto3", "botocore", "upstash_redis", "httpx", "aws_lambda_powertools"}
    assert third - NOT_OURS <= MAY_LOAD
