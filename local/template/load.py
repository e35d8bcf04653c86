"""Reads SAM's `template.yaml`, so that the local stack serves what would be deployed."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from local.template.intrinsics import Resolver, Unresolved, parse

DEFAULT_ROUTE: Final = "$default"
WHOLE: Final = {"Realtime": "on"}
"""The parameters with which our template has every route and function that it can have."""

# Properties that CloudFormation and the CreateTable call share. Encryption, backups and deletion protection
# mean nothing on a local engine; time to live has a call of its own.
_TABLE_ARGUMENTS: Final = (
    "AttributeDefinitions",
    "KeySchema",
    "BillingMode",
    "ProvisionedThroughput",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
)


@dataclass(frozen=True, kw_only=True)
class Function:
    """A Lambda function, by its logical id. `timeout` is in seconds, `memory` in MB."""

    function: str
    handler: str
    timeout: float
    memory: int


@dataclass(frozen=True, kw_only=True)
class Route(Function):
    """A route of the HTTP API, and its function."""

    method: str
    path: str
    authorized: bool

    @property
    def key(self) -> str:
        """The route key in API Gateway's form: `GET /v1/channels/{channel_id}`."""
        return self.path if self.path == DEFAULT_ROUTE else f"{self.method} {self.path}"


@dataclass(frozen=True)
class Cors:
    """The API's CORS configuration. `max_age` is in seconds; None sends no such header."""

    allow_origins: tuple[str, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: int | None = None
    allow_credentials: bool = False


@dataclass(frozen=True)
class Authorizer:
    """A JWT authorizer. `issuer` is empty if the template leaves it to the deployment."""

    issuer: str
    audience: tuple[str, ...]
    identity_source: str = "$request.header.Authorization"


@dataclass(frozen=True)
class Throttle:
    """A route's limits: requests a second, and at once."""

    rate: float
    burst: float


@dataclass(frozen=True, kw_only=True)
class FrameRoute(Function):
    """A route of a WebSocket API, and its function. `answers`: the function's result is sent to the client."""

    answers: bool


@dataclass(frozen=True)
class WebSocketApi:
    """A WebSocket API: its routes by their keys, such as `$connect`, and its stage's limits for each of them."""

    routes: Mapping[str, FrameRoute]
    throttle: Throttle | None = None


@dataclass(frozen=True)
class Template:
    """The parts of a SAM template that the local stack needs."""

    functions: Mapping[str, Function]
    routes: tuple[Route, ...]
    cors: Cors | None
    authorizer: Authorizer | None
    throttle: Throttle | None
    websocket: WebSocketApi | None
    _environments: Mapping[str, Mapping[str, str]] = field(repr=False)
    _table: Mapping[str, Any] = field(repr=False)

    def table(self) -> dict[str, Any]:
        """The keyword arguments of boto3's `create_table`, without `TableName`.

        Raises:
            ValueError: the template has no table.
        """
        if not self._table:
            raise ValueError("The template has no AWS::DynamoDB::Table.")
        arguments = {name: self._table[name] for name in _TABLE_ARGUMENTS if name in self._table}
        if stream := self._table.get("StreamSpecification"):
            arguments["StreamSpecification"] = {"StreamEnabled": True, **stream}
        return arguments

    def ttl_attribute(self) -> str | None:
        """The attribute by which items expire; None if the table has none or it is disabled."""
        specification = self._table.get("TimeToLiveSpecification", {})
        return specification.get("AttributeName") if specification.get("Enabled") else None

    def environment(self, function: str) -> dict[str, str]:
        """The variables of a function (by logical id) whose values are known here.

        Raises:
            KeyError: the template has no such function.
        """
        return dict(self._environments[function])


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Template:
    """Read a template.

    Args:
        path: the file.
        overrides: values for parameters, and for names that only a deployment knows: a resource's logical id
            (`Table`) or attribute (`Table.Arn`). Lists may be lists or text with commas.

    Raises:
        ValueError: the file is not a template.
        OSError: it cannot be read.
    """
    document = parse(path.read_text(encoding="utf-8"))
    names = _names(document.get("Parameters", {}), overrides or {})
    resolver = Resolver(names, document.get("Conditions"))
    # Only what is read below is resolved: policies and outputs use functions that mean nothing here.
    resources = {
        name: resource
        for name, resource in document.get("Resources", {}).items()
        if "Condition" not in resource or resolver.holds(resource["Condition"])
    }
    defaults = resolver.resolve(document.get("Globals", {}).get("Function", {}))
    declared = {
        name: _merge(defaults, resolver.resolve(_without(resource["Properties"], "Policies")))
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    functions = {name: _function(name, properties) for name, properties in declared.items()}
    api = resolver.resolve(_first(resources, "AWS::Serverless::HttpApi"))
    shared_api = resolver.resolve(document.get("Globals", {}).get("HttpApi", {}))
    auth = api.get("Auth") or shared_api.get("Auth") or {}
    return Template(
        functions=functions,
        routes=tuple(_routes(declared, auth.get("DefaultAuthorizer"))),
        cors=_cors(api.get("CorsConfiguration") or shared_api.get("CorsConfiguration")),
        authorizer=_authorizer(auth),
        throttle=_throttle(api.get("DefaultRouteSettings") or shared_api.get("DefaultRouteSettings")),
        websocket=_websocket(resources, resolver, functions),
        _environments={name: _variables(properties) for name, properties in declared.items()},
        _table=resolver.resolve(_first(resources, "AWS::DynamoDB::Table")),
    )


def _names(parameters: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    names = {name: parameter["Default"] for name, parameter in parameters.items() if "Default" in parameter}
    names |= overrides
    for name, parameter in parameters.items():
        value = names.get(name)
        if isinstance(value, str) and "List" in parameter.get("Type", "String"):
            names[name] = [item.strip() for item in value.split(",")]
    return names


def _without(properties: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in properties.items() if key != name}


def _first(resources: Mapping[str, Any], kind: str) -> dict[str, Any]:
    found = (resource.get("Properties", {}) for resource in resources.values() if resource["Type"] == kind)
    return next(found, {})


def _merge(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merges `Globals` into a function as SAM does: mappings by key, lists joined, the rest replaced."""
    merged = dict(defaults)
    for key, value in own.items():
        default = merged.get(key)
        if isinstance(default, dict) and isinstance(value, dict):
            merged[key] = _merge(default, value)
        elif isinstance(default, list) and isinstance(value, list):
            merged[key] = [*default, *value]
        else:
            merged[key] = value
    return merged


def _function(name: str, properties: Mapping[str, Any]) -> Function:
    # Timeout and memory are Lambda's own defaults.
    return Function(
        function=name,
        handler=properties["Handler"],
        timeout=float(properties.get("Timeout", 3)),
        memory=int(properties.get("MemorySize", 128)),
    )


def _routes(functions: Mapping[str, dict[str, Any]], default_authorizer: str | None) -> Iterator[Route]:
    for name, properties in functions.items():
        for event in properties.get("Events", {}).values():
            if event["Type"] != "HttpApi":
                continue
            details = event.get("Properties", {})
            authorizer = details.get("Auth", {}).get("Authorizer", default_authorizer)
            yield Route(
                method=str(details.get("Method", "ANY")).upper(),
                path=details.get("Path", DEFAULT_ROUTE),
                authorized=authorizer not in {None, "NONE"},
                **asdict(_function(name, properties)),
            )


def _websocket(
    resources: Mapping[str, Any], resolver: Resolver, functions: Mapping[str, Function]
) -> WebSocketApi | None:
    """The template's WebSocket API, which consists of many resources; None if it has none."""

    def resolved(kind: str) -> dict[str, Any]:
        return {
            name: resolver.resolve(resource["Properties"])
            for name, resource in resources.items()
            if resource["Type"] == f"AWS::ApiGatewayV2::{kind}"
        }

    if all(api.get("ProtocolType") != "WEBSOCKET" for api in resolved("Api").values()):
        return None
    uris = {name: _named(api["IntegrationUri"]) for name, api in resolved("Integration").items()}
    answering = {_named(response["RouteId"]) for response in resolved("RouteResponse").values()}
    stage: dict[str, Any] = next(iter(resolved("Stage").values()), {})
    routes = {
        route["RouteKey"]: FrameRoute(
            answers=name in answering and "RouteResponseSelectionExpression" in route,
            **asdict(functions[uris[_named(route["Target"])]]),
        )
        for name, route in resolved("Route").items()
    }
    return WebSocketApi(routes, _throttle(stage.get("DefaultRouteSettings")))


def _named(value: Unresolved) -> str:
    """The logical id in a reference to a resource, or in a text with one: only a deployment knows its value."""
    return value.what.partition(".")[0]


def _cors(configuration: Any) -> Cors | None:  # noqa: ANN401  # YAML: a mapping, or `true` for everything
    if not isinstance(configuration, dict):
        return Cors(allow_origins=("*",)) if configuration else None
    return Cors(
        allow_origins=tuple(configuration.get("AllowOrigins", ())),
        allow_methods=tuple(method.upper() for method in configuration.get("AllowMethods", ())),
        allow_headers=tuple(configuration.get("AllowHeaders", ())),
        expose_headers=tuple(configuration.get("ExposeHeaders", ())),
        max_age=configuration.get("MaxAge"),
        allow_credentials=bool(configuration.get("AllowCredentials", False)),
    )


def _authorizer(auth: Mapping[str, Any]) -> Authorizer | None:
    definition = auth.get("Authorizers", {}).get(auth.get("DefaultAuthorizer"))
    if definition is None:
        return None
    configuration = definition["JwtConfiguration"]
    issuer, audience = configuration["issuer"], configuration["audience"]
    return Authorizer(
        issuer="" if isinstance(issuer, Unresolved) else str(issuer),
        audience=tuple(item for item in audience if isinstance(item, str))
        if isinstance(audience, list)
        else (audience,),
        identity_source=definition.get("IdentitySource", Authorizer.identity_source),
    )


def _throttle(settings: Mapping[str, Any] | None) -> Throttle | None:
    if not settings or "ThrottlingRateLimit" not in settings:
        return None
    return Throttle(float(settings["ThrottlingRateLimit"]), float(settings["ThrottlingBurstLimit"]))


def _variables(properties: Mapping[str, Any]) -> dict[str, str]:
    declared = properties.get("Environment", {}).get("Variables", {})
    return {name: str(value) for name, value in declared.items() if not isinstance(value, Unresolved)}
