"""CloudFormation's YAML tags, and the values of intrinsic functions on this machine.

Only what the template itself determines is resolved: parameters, pseudo parameters, conditions and texts made of
them. What only a deployment knows (a resource's name or attribute) stays unresolved unless given.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import yaml


class Unresolved(NamedTuple):
    """A value that only a deployment knows, for example a resource's ARN."""

    what: str


NO_VALUE: Final = Unresolved("AWS::NoValue")

PSEUDO_PARAMETERS: Final[Mapping[str, Any]] = {
    "AWS::AccountId": "123456789012",
    "AWS::NoValue": NO_VALUE,
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "budgie",
    "AWS::URLSuffix": "amazonaws.com",
}

_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]+)\}")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # ten times as fast, where libyaml is
    """Reads `!Name value` as `{"Fn::Name": value}`, which is CloudFormation's long form."""


def _tagged(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else None
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tagged)


def parse(text: str) -> dict[str, Any]:
    """Parse a template, with its tags in their long form.

    Raises:
        ValueError: the text is not a YAML mapping.
    """
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506  # a subclass of SafeLoader: no Python objects
    except yaml.YAMLError as error:
        raise ValueError(f"The template is not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise ValueError("The template is not a YAML mapping.")  # noqa: TRY004  # the text is wrong, not its type
    return document


class Resolver:
    """Resolves intrinsic functions.

    Args:
        names: values for `Ref` and `${…}`: parameters, and anything else that is given, for example a resource's
            name under its logical id or an attribute under `LogicalId.Attribute`.
        conditions: the template's `Conditions` section.
    """

    def __init__(self, names: Mapping[str, Any], conditions: Mapping[str, Any] | None = None) -> None:
        self._names = {**PSEUDO_PARAMETERS, **names}
        self._conditions = conditions or {}

    def resolve(self, value: Any) -> Any:  # noqa: ANN401  # YAML in, YAML out
        """Resolve a value and everything in it; unknown values become `Unresolved`."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in {"Ref", "Condition"} or str(name).startswith("Fn::"):
                return self._call(name, argument)
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NO_VALUE}

    def _call(self, name: str, argument: Any) -> Any:  # noqa: ANN401  # YAML in, YAML out
        match name:
            case "Ref":
                return self._name(str(argument))
            case "Fn::GetAtt":
                return self._name(".".join(map(str, argument)))
            case "Fn::Sub":
                return self._substitute(argument)
            case "Fn::Join":
                return self._join(*argument)
            case "Fn::If":
                return self.resolve(argument[1] if self.holds(argument[0]) else argument[2])
        return Unresolved(name)

    def _name(self, name: str) -> Any:  # noqa: ANN401  # parameters are text or lists
        return self._names.get(name, Unresolved(name))

    def _substitute(self, argument: Any) -> str | Unresolved:  # noqa: ANN401  # text, or text and names
        text, own = (argument, {}) if isinstance(argument, str) else argument
        names = {**self._names, **{key: self.resolve(item) for key, item in own.items()}}
        missing = [
            name
            for literal, name in _PLACEHOLDER.findall(text)
            if not literal and not _is_text(names.get(name))
        ]
        if missing:
            return Unresolved(missing[0])
        return _PLACEHOLDER.sub(lambda hit: f"${{{hit[2]}}}" if hit[1] else str(names[hit[2]]), text)

    def _join(self, separator: str, parts: Any) -> str | Unresolved:  # noqa: ANN401  # a list, or a Ref to one
        resolved = self.resolve(parts)
        if isinstance(resolved, Unresolved):
            return resolved
        unknown = next((part for part in resolved if isinstance(part, Unresolved)), None)
        return unknown or separator.join(map(str, resolved))

    def holds(self, condition: Any) -> bool:  # noqa: ANN401  # a condition's name or its definition
        """Whether a condition is true here.

        Raises:
            KeyError: the template does not define the condition.
            ValueError: it uses an unsupported function.
        """
        if isinstance(condition, str):
            return self.holds(self._conditions[condition])
        ((name, argument),) = condition.items()
        match name:
            case "Fn::Equals":
                left, right = map(self.resolve, argument)
                return bool(left == right)
            case "Fn::Not":
                return not self.holds(argument[0])
            case "Fn::And":
                return all(map(self.holds, argument))
            case "Fn::Or":
                return any(map(self.holds, argument))
            case "Condition":
                return self.holds(argument)
        raise ValueError(f"{name} is not a supported condition.")


def _is_text(value: object) -> bool:
    return isinstance(value, str | int | float)
