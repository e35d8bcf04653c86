"""Chooses the route of an HTTP API for a request."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from local.template.load import DEFAULT_ROUTE, Route

ANY: Final = "ANY"


class Routes:
    """The routes of an API, the most specific ones first.

    Paths are compared segment by segment, as they were sent: a `%2F` does not divide a segment. (How AWS treats one
    when it chooses the route is not documented.) A trailing slash makes another path, and a parameter does not match
    an empty segment.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(route, _segments(route.path)) for route in sorted(routes, key=_rank)]

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route for a method and a percent-encoded path, with its path parameters decoded."""
        sent = _segments(path)
        for route, pattern in self._routes:
            if route.method not in {method, ANY}:
                continue
            parameters = {} if route.path == DEFAULT_ROUTE else _parameters(pattern, sent)
            if parameters is not None:
                return route, parameters
        return None


def _segments(path: str) -> list[str]:
    return path.split("/")[1:]


def _rank(route: Route) -> tuple[list[int], bool]:
    """The sort key: literals first, then parameters, then greedy ones, then `$default`."""
    if route.path == DEFAULT_ROUTE:
        return [3], True
    kinds = [2 if part.endswith("+}") else int(part.startswith("{")) for part in _segments(route.path)]
    return kinds, route.method == ANY


def _parameters(pattern: list[str], sent: list[str]) -> dict[str, str] | None:
    """The values of the path parameters; None if the path does not match."""
    greedy = bool(pattern) and pattern[-1].endswith("+}")
    if len(sent) < len(pattern) or (len(sent) > len(pattern) and not greedy):
        return None
    if greedy:
        sent = [*sent[: len(pattern) - 1], "/".join(sent[len(pattern) - 1 :])]
    found = {}
    for expected, actual in zip(pattern, sent, strict=True):
        if expected.startswith("{"):
            if not actual:
                return None
            found[expected.strip("{+}")] = unquote(actual)
        elif expected != unquote(actual):
            return None
    return found
