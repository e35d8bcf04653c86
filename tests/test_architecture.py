"""The shape of the project: what may import what, one name everywhere, how tests are written."""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi.routing import iter_route_contexts

from local.template import load as template
from shared.settings import Settings
from tests.cases import case
from tests.sources import tree_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
OURS = frozenset({"functions", "shared", "operators", "tools", "local", "bench", "tests"})
MAY_IMPORT = {
    "shared": frozenset({"shared"}),
    "functions": frozenset({"shared", "functions"}),
    "local": frozenset({"shared", "functions", "local"}),
    "operators": frozenset({"shared", "local", "operators"}),
    "tools": frozenset({"shared", "functions", "local", "tools"}),
    "bench": frozenset({"shared", "functions", "operators", "local", "tools", "bench"}),
    "tests": OURS,
}
LAYERS = (
    ("domain",),
    ("settings", "runtime", "observability"),
    ("aws",),
    ("storage",),
    ("cache",),
    ("bootstrap",),
    ("use_cases",),
    ("web",),
)
"""Of `shared`: a module imports from its own room and from earlier layers. Rooms of one layer do not import each other;
all may read the settings."""
FUNCTIONS = sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py"))
TESTS = sorted(ROOT.glob("tests/**/*.py"))
HANDLER_LINES = 40
"""A handler has fewer."""


def name_of(path: Path) -> str:
    """A file relative to the project."""
    return path.relative_to(ROOT).as_posix()


@cache
def imported(path: Path) -> frozenset[str]:
    """The modules that a file imports anywhere, also within functions and for types alone."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name_of(path)}:{node.lineno} imports relatively"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


# --- imports ---


def test_imports_point_inward() -> None:
    """Each package imports only those that `MAY_IMPORT` allows it."""
    for package, allowed in MAY_IMPORT.items():
        with case(package):
            outward = {
                f"{name_of(path)} imports {module}"
                for path in ROOT.glob(f"{package}/**/*.py")
                for module in imported(path)
                if module.split(".")[0] in OURS - allowed
            }
            assert not outward


def room_of(module: str) -> str:
    """`storage` of `shared.storage.dynamodb.log`."""
    return module.split(".")[1]


def test_layers_of_shared_point_one_way() -> None:
    """No room of `shared` imports one of a later layer, or a neighbour of its own."""
    layer = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}
    wrong = set()
    for path in ROOT.glob("shared/*/**/*.py"):
        here = room_of(".".join(path.relative_to(ROOT).parts))
        for module in imported(path):
            if not module.startswith("shared.") or room_of(module) in {here, "settings"}:
                continue
            if layer[room_of(module)] >= layer[here]:
                wrong.add(f"{name_of(path)} imports {module}")
    assert not wrong


def test_every_room_of_shared_has_a_layer() -> None:
    """A new room is named in `LAYERS`, or its imports would be kept by nothing."""
    found = {path.stem for path in ROOT.glob("shared/*") if path.name not in {"__init__.py", "__pycache__"}}
    assert found == {room for rooms in LAYERS for room in rooms}


def test_functions_do_not_import_each_other() -> None:
    """Each function is deployed without the others."""
    crossing = {
        f"{name_of(path)} imports {module}"
        for path in ROOT.glob("functions/*/*.py")
        for module in imported(path)
        if module.startswith("functions.") and module.split(".")[1] != path.parent.name
    }
    assert not crossing


def test_use_cases_know_neither_http_nor_dynamodb() -> None:
    """What a route does is said without the web framework and without the storage's client."""
    foreign = ("shared.web", "shared.storage.dynamodb", "fastapi", "starlette", "mangum", "boto3", "botocore")
    found = {
        f"{name_of(path)} imports {module}"
        for path in ROOT.glob("shared/use_cases/*.py")
        for module in imported(path)
        if module.startswith(foreign)
    }
    assert not found


# --- one name everywhere ---


def resource_of(function: str) -> str:
    """A function's name in the template."""
    return "".join(word.capitalize() for word in function.split("_")) + "Function"


def test_a_function_has_one_name() -> None:
    """Folder, route function, use case, resource, handler string and test file are called the same."""
    for function in FUNCTIONS:
        with case(function):
            declared = template.load(ROOT / "template.yaml", template.WHOLE).functions[resource_of(function)]
            assert declared.handler == f"functions.{function}.handler.handler"
            assert (ROOT / f"shared/use_cases/{function}.py").is_file()
            assert (ROOT / f"tests/functions/test_{function}.py").is_file()
            paths = list(ROOT.glob(f"functions/{function}/*.py"))
            texts = "".join(path.read_text() for path in paths)
            assert re.search(rf'create_(app|handler)\("{function}"', texts)
            used = {module for path in paths for module in imported(path)}
            # A function with several kinds of use cases has what they share in the file that has its name.
            cases = [
                path for path in ROOT.glob("shared/use_cases/*.py") if f"shared.use_cases.{path.stem}" in used
            ]
            used |= {module for path in cases for module in imported(path)}
            assert f"shared.use_cases.{function}" in used


def test_the_template_has_no_other_functions() -> None:
    """Every function of the template has a folder."""
    declared = template.load(ROOT / "template.yaml", template.WHOLE).functions
    assert set(declared) == {resource_of(function) for function in FUNCTIONS}


def served(function: str) -> set[tuple[str, str]]:
    """The routes that a function's app has; none if it serves no HTTP."""
    app = getattr(import_module(f"functions.{function}.handler"), "app", None)
    if app is None:
        return set()
    return {
        (method, str(route.path))
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
    }


def test_a_function_serves_what_the_template_sends_it() -> None:
    """The app's routes are the template's, no more and no fewer."""
    for function in FUNCTIONS:
        with case(function):
            handler = f"functions.{function}.handler.handler"
            routes = template.load(ROOT / "template.yaml", template.WHOLE).routes
            assert served(function) == {
                (route.method, route.path) for route in routes if route.handler == handler
            }


def test_frames_go_to_functions_that_take_them() -> None:
    """What a function does by route of the WebSocket API is what the template sends it."""
    api = template.load(ROOT / "template.yaml", template.WHOLE).websocket
    assert api
    for function in FUNCTIONS:
        with case(function):
            actions = getattr(import_module(f"functions.{function}.handler"), "ACTIONS", {})
            sent = {key for key, route in api.routes.items() if route.function == resource_of(function)}
            assert set(actions) == sent


def test_a_handler_is_short_and_decides_nothing() -> None:
    """A handler has under 40 lines; neither it nor the files of routes beside it have an `if` statement."""
    for function in FUNCTIONS:
        with case(function):
            handler = ROOT / f"functions/{function}/handler.py"
            assert len(handler.read_text().splitlines()) < HANDLER_LINES
            assert not [
                node
                for path in handler.parent.glob("*.py")
                for node in ast.walk(tree_of(path))
                if isinstance(node, ast.If | ast.Match | ast.While)
            ]


# --- tests ---


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions of a file, also within classes."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_every_test_states_its_behaviour() -> None:
    """Each test has a docstring whose first line is a sentence."""
    silent = {
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in TESTS
        for node in functions_of(path)
        if node.name.startswith("test_") and not (ast.get_docstring(node) or "").split("\n")[0].endswith(".")
    }
    assert not silent


def test_no_test_patches_code() -> None:
    """Dependencies are handed over: no `monkeypatch.setattr`, no `mock.patch`."""
    patching = {
        f"{name_of(path)}:{node.lineno}"
        for path in TESTS
        for node in ast.walk(tree_of(path))
        if (isinstance(node, ast.Attribute) and node.attr in {"setattr", "setitem", "patch"})
        and isinstance(node.value, ast.Name)
        and node.value.id in {"monkeypatch", "mock", "mocker"}
    }
    mocks = {
        name_of(path) for path in TESTS if any(each.startswith("unittest.mock") for each in imported(path))
    }
    assert not patching | mocks


# --- settings ---


def test_the_templates_variables_are_ones_that_are_read() -> None:
    """What the deployment sets is read by our settings, or by Powertools."""
    resolved = template.load(ROOT / "template.yaml", template.WHOLE)
    declared = re.findall(r"^ {8}([A-Z][A-Z0-9_]+):", (ROOT / "template.yaml").read_text(), re.MULTILINE)
    assert "TABLE_NAME" in declared
    for route in resolved.routes:
        declared += resolved.environment(route.function)
    unread = {each for each in declared if not each.startswith("POWERTOOLS_")} - set(Settings.variables())
    assert not unread
