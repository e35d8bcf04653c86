"""The reader of SAM's template."""

from pathlib import Path

import pytest

from local.template.load import Cors, Template, load

SMALL = """
Parameters:
  Issuer: {Type: String}
  Origins: {Type: CommaDelimitedList, Default: "https://a.example, https://b.example"}
  Mode: {Type: String, Default: small}
Conditions:
  Large: !Equals [!Ref Mode, large]
  Small: !Not [!Condition Large]
Globals:
  HttpApi:
    CorsConfiguration: {AllowOrigins: !Ref Origins, AllowMethods: [get], MaxAge: 60}
  Function:
    Timeout: 10
    MemorySize: 512
    Environment: {Variables: {TABLE: !Ref Table, MODE: !Ref Mode, REGION: !Sub "in-${AWS::Region}"}}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Jwt
        Authorizers:
          Jwt:
            IdentitySource: $request.header.Authorization
            JwtConfiguration:
              issuer: !If [Large, !GetAtt Pool.ProviderURL, !Ref Issuer]
              audience: [one, two]
  One:
    Type: AWS::Serverless::Function
    Properties:
      Handler: box.one.handler
      Timeout: 3
      Environment:
        Variables:
          OWN: !Join ["-", [a, !Ref Mode]]
          ARN: !GetAtt Table.Arn
          LITERAL: !Sub "${!kept} ${Name}"
          FROM_MAP: !Sub ["${Name}", {Name: !Ref Mode}]
          GONE: !Ref AWS::NoValue
          CHOSEN: !If [Large, big, !Ref Mode]
      Events:
        Get: {Type: HttpApi, Properties: {Method: get, Path: "/v1/things/{id}"}}
        Open: {Type: HttpApi, Properties: {Method: GET, Path: /open, Auth: {Authorizer: NONE}}}
        Timer: {Type: Schedule, Properties: {Schedule: rate(1 day)}}
  Two:
    Type: AWS::Serverless::Function
    Properties:
      Handler: box.two.handler
      Policies: [!FindInMap [Some, Map, Name]]
      Events: {All: {Type: HttpApi}}
  Absent:
    Type: AWS::Serverless::Function
    Condition: Large
    Properties: {Handler: box.absent.handler, Events: {Get: {Type: HttpApi, Properties: {Path: /absent}}}}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      BillingMode: PAY_PER_REQUEST
      StreamSpecification: {StreamViewType: NEW_IMAGE}
      SSESpecification: {SSEEnabled: true}
      TimeToLiveSpecification: {AttributeName: gone, Enabled: true}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The small template as a file."""
    file = tmp_path / "template.yaml"
    file.write_text(SMALL)
    return file


def test_routes_carry_what_their_function_says(path: Path) -> None:
    """A route has its method, path, handler and authorizer, and the function's own or the global limits."""
    get, free, everything = load(path).routes
    assert (get.key, get.function, get.handler) == ("GET /v1/things/{id}", "One", "box.one.handler")
    assert (get.authorized, free.authorized, everything.authorized) == (True, False, True)
    assert (get.timeout, everything.timeout, get.memory) == (3.0, 10.0, 512)
    assert everything.key == "$default"


def test_parameters_have_defaults_and_overrides(path: Path) -> None:
    """A parameter has its default or a given value, and lists are split at commas."""
    assert load(path).cors == Cors(("https://a.example", "https://b.example"), ("GET",), max_age=60)
    assert load(path, {"Origins": ["*"]}).cors == Cors(("*",), ("GET",), max_age=60)


def test_issuer_is_empty_until_it_is_given(path: Path) -> None:
    """Values that only a deployment knows are empty, and can be given."""
    unknown, given = load(path).authorizer, load(path, {"Issuer": "https://issuer"}).authorizer
    assert unknown is not None
    assert given is not None
    assert (unknown.issuer, given.issuer, given.audience) == ("", "https://issuer", ("one", "two"))
    assert given.identity_source == "$request.header.Authorization"


def test_conditions_choose_values_and_resources(path: Path) -> None:
    """`Fn::If` and a resource's `Condition` follow the parameters."""
    large = load(path, {"Mode": "large", "Pool.ProviderURL": "https://pool"})
    assert large.authorizer is not None
    assert large.authorizer.issuer == "https://pool"
    assert "ANY /absent" in [route.key for route in large.routes]
    assert "ANY /absent" not in [route.key for route in load(path).routes]


def test_environment_has_what_resolves(path: Path) -> None:
    """Declared variables are merged with the global ones; unknown values are left out."""
    assert load(path, {"Name": "ada"}).environment("One") == {
        "MODE": "small",
        "REGION": "in-us-east-1",
        "OWN": "a-small",
        "LITERAL": "${kept} ada",
        "FROM_MAP": "small",
        "CHOSEN": "small",
    }
    assert load(path, {"Table": "chat"}).environment("Two")["TABLE"] == "chat"


def test_table_is_what_create_table_takes(path: Path) -> None:
    """The table's definition becomes boto3's arguments, without what a local engine does not use."""
    assert load(path).table() == {
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    }
    assert load(path).ttl_attribute() == "gone"


@pytest.mark.parametrize("text", ["[]", "a: [", "!Ref x", ""])
def test_what_is_no_template_is_refused(tmp_path: Path, text: str) -> None:
    """A file that is not a YAML mapping raises one kind of error."""
    file = tmp_path / "template.yaml"
    file.write_text(text)
    if text == "!Ref x":
        assert load(file).routes == ()
    else:
        with pytest.raises(ValueError, match="template"):
            load(file)


def test_template_without_an_api(tmp_path: Path) -> None:
    """A template may lack routes, authorizer, CORS and table; only reading the table is an error."""
    file = tmp_path / "template.yaml"
    file.write_text("Resources: {}")
    empty = load(file)
    assert (empty.routes, empty.cors, empty.authorizer, empty.ttl_attribute()) == ((), None, None, None)
    with pytest.raises(ValueError, match="no AWS::DynamoDB::Table"):
        empty.table()


def test_project_template() -> None:
    """The project's own template can be read: every route but the health check requires a token."""
    template: Template = load(Path(__file__).parents[3] / "template.yaml", {"Table": "budgie"})
    open_routes = [route.path for route in template.routes if not route.authorized]
    assert set(open_routes) == {"/v1/healthz"}
    assert template.table()["KeySchema"][0] == {"AttributeName": "pk", "KeyType": "HASH"}
    assert all(template.environment(route.function)["TABLE_NAME"] == "budgie" for route in template.routes)
