"""Who may do what: every cell of ``docs/authorization.yaml``, by real events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from local.template.load import load
from tests.functions.refusals import assert_refused, state
from tests.security.people import ATTEMPTS, PEOPLE, channel_of, outcome
from tools import authorization
from tools.authorization import Act, Matrix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.storage.memory import MemoryStore
    from tests.functions.chat import Chat

ROOT: Final = Path(__file__).resolve().parents[2]
MATRIX: Final = authorization.load()
CELLS: Final = list(MATRIX.cells())
DOCUMENT: Final[dict[str, Any]] = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))


def operations(document: Mapping[str, Any]) -> dict[str, str]:
    """The operation of each route."""
    return {
        f"{method.upper()} {path}": each["operationId"]
        for path, methods in document["paths"].items()
        for method, each in methods.items()
    }


def lacking(matrix: Matrix, document: Mapping[str, Any], routes: set[str]) -> set[str]:
    """Routes of the template or the document that have no row, and rows that have no route."""
    known = operations(document)
    rows = {route for route, operation in known.items() if operation in matrix.operations}
    return (routes ^ rows) | (set(known) ^ rows) | (set(matrix.operations) - set(known.values()))


def routes_of_the_template() -> set[str]:
    """As API Gateway knows them."""
    return {route.key for route in load(ROOT / "template.yaml").routes}


def test_every_route_has_its_row() -> None:
    """Of the template and of the OpenAPI document, none is missing, and none is there that is no route."""
    assert lacking(MATRIX, DOCUMENT, routes_of_the_template()) == set()
    assert set(MATRIX.callers) == set(PEOPLE)
    assert {act.name: act.operation for act in MATRIX.acts} == {
        name: attempt.operation for name, attempt in ATTEMPTS.items()
    }


def test_a_route_without_a_row_is_found() -> None:
    """A route that is added to the template, or to the document, or a row that is taken away, shows."""
    routes = routes_of_the_template()
    assert lacking(MATRIX, DOCUMENT, routes | {"GET /v1/new"}) == {"GET /v1/new"}
    added = {"paths": DOCUMENT["paths"] | {"/v1/new": {"get": {"operationId": "new"}}}}
    assert lacking(MATRIX, added, routes) == {"GET /v1/new"}
    acts = [act for act in MATRIX.acts if act.operation != "mark_read"]
    without = Matrix(MATRIX.tokens, MATRIX.open, MATRIX.callers, acts)
    assert lacking(without, DOCUMENT, routes) == {"PUT /v1/channels/{channel_id}/read"}


def test_open_routes_are_the_templates() -> None:
    """What the table says needs no token is what API Gateway lets in without one."""
    known = operations(DOCUMENT)
    unguarded = {known[route.key] for route in load(ROOT / "template.yaml").routes if not route.authorized}
    assert unguarded == MATRIX.open


def test_the_document_has_the_tables() -> None:
    """`docs/security.md` says what is declared."""
    assert authorization.main(["--check"]) == 0


@pytest.mark.parametrize(
    ("act", "kind", "caller", "cell"), CELLS, ids=[f"{act}-{kind}-{caller}" for act, kind, caller, _ in CELLS]
)
def test_a_caller_gets_what_the_table_says(
    chat: Chat, store: MemoryStore, act: Act, kind: str, caller: str, cell: str
) -> None:
    """Status and code, or what is listed; a refusal is a complete problem, and changes nothing."""
    channel = channel_of(chat, kind, archived=caller == "owner of an archived one")
    before = state(store)
    attempt = ATTEMPTS[act.name]
    response = attempt.by(chat, PEOPLE[caller], channel)
    assert outcome(attempt, response, channel) == cell
    if response.status >= 400:
        assert_refused(response, response.status)
        assert state(store) == before


@pytest.mark.parametrize("act", MATRIX.acts, ids=str)
def test_who_has_no_claims_gets_nothing(chat: Chat, store: MemoryStore, act: Act) -> None:
    """An event without verified claims is 401 in the function too, but for what is open."""
    channel = channel_of(chat, "public")
    before = state(store)
    attempt = ATTEMPTS[act.name]
    path = attempt.path.replace("{c}", channel)
    response = chat.api(attempt.method, path, user=None, body=attempt.body, query=attempt.query)
    assert response.status == (401 if MATRIX.refuses(act.operation) else 200)
    assert state(store) == before
