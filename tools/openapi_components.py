"""Moves repeated parts of an OpenAPI document to its components, and refers to them."""

from __future__ import annotations

import json
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from shared.web.problems import MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Part = dict[str, Any]
    Place = tuple[Any, Any, str]
    """The place of a part (``place[0][place[1]]``), and its name as a component."""

KINDS: Final = ("responses", "headers", "parameters", "examples")
"""Sections of ``components`` that are created here; FastAPI creates ``schemas``."""
_SUCCESS: Final = "200", "201", "204"
"""Responses that stay with their operations, as they are what an operation is for."""


def share(document: Part) -> None:
    """Moves what is repeated to ``components``, in place: first responses, then what these still repeat.

    Raises:
        ValueError: two different parts would have the same name.
    """
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    components = document["components"]
    components["responses"] = _moved("responses", _responses(operations))
    kept = [
        each for operation in operations for each in operation["responses"].values() if "$ref" not in each
    ]
    once = [*components["responses"].values(), *kept]
    components["headers"] = _moved("headers", _named(each.get("headers", {}) for each in once))
    components["parameters"] = _moved("parameters", _parameters(operations))
    components["examples"] = _moved("examples", _named(map(_examples, once)))


def _responses(operations: list[Part]) -> Iterator[Place]:
    for operation in operations:
        for status, response in operation["responses"].items():
            if status not in _SUCCESS:
                yield operation["responses"], status, _name(status, response)


def _parameters(operations: list[Part]) -> Iterator[Place]:
    for operation in operations:
        for index, parameter in enumerate(operation.get("parameters", [])):
            yield operation["parameters"], index, parameter["name"]


def _named(holders: Iterable[Part]) -> Iterator[Place]:
    for holder in holders:
        for name in holder:
            yield holder, name, name


def _name(status: str, response: Part) -> str:
    """``NotAMemberOrForbidden``, after the codes; ``NotModified``, after the status if there are none."""
    codes = _examples(response) or [HTTPStatus(int(status)).name]
    return "Or".join(code.title().replace("_", "") for code in codes)


def _examples(response: Part) -> Part:
    examples: Part = response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
    return examples


def _moved(kind: str, places: Iterable[Place]) -> Part:
    """The components for repeated parts of these places, which become references."""
    places = list(places)
    times = Counter(_text(holder[key]) for holder, key, _ in places)
    moved: Part = {}
    for holder, key, name in places:
        said = holder[key]
        if times[_text(said)] > 1:
            if kind == "parameters":
                name = _free(moved, name, said)  # noqa: PLW2901 - parameters of one name differ between listings
            if moved.setdefault(name, said) != said:
                raise ValueError(f"components/{kind}: two of them would be {name}")
            holder[key] = {"$ref": f"#/components/{kind}/{name}"}
    return dict(sorted(moved.items()))


def _free(moved: Part, name: str, said: Part) -> str:
    """The name, with a number if another part has it."""
    names = (name, *(f"{name}{number}" for number in range(2, len(moved) + 3)))
    return next(each for each in names if moved.get(each, said) == said)


def _text(said: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    return json.dumps(said, sort_keys=True)
