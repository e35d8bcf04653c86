"""The table's calls, with responses that no local engine gives on request."""

from __future__ import annotations

from typing import Any

import pytest

from shared.aws.protocol import THROTTLES, NoAnswerError
from shared.domain.errors import (
    ContentionError,
    MisconfiguredError,
    StoreThrottledError,
    StoreUnavailableError,
    UnavailableError,
)
from shared.domain.model import Head, Kind, Membership, Preview, Role
from shared.observability.meter import Meter, start_meter
from shared.storage import items
from shared.storage.dynamodb import DynamoDBStore
from shared.storage.dynamodb.conflicts import CONFLICT_TRIES
from shared.storage.dynamodb.table import BACKOFF_SECONDS, MAX_PAGES, THROTTLED_SECONDS, Table
from shared.storage.protocol import Committed, Contended, MembershipChanged, PositionTaken
from tests.cases import case
from tests.contract.fake_client import FakeClient, Response, cancelled, refusal
from tests.contract.samples import NOW, commitment, entry

HEAD = Head("0123456789abcdef", Kind.PRIVATE, "birds", "", "ada", NOW)
MEMBERSHIP = Membership("ada", HEAD.channel_id, Role.MEMBER, NOW)
SHOWN = Preview(0, "ada", "hello", NOW)
KEYS = [items.entry_key(HEAD.channel_id, seq) for seq in range(150)]
CONFLICT = refusal("TransactionConflictException")


class Played:
    """A storage over a fake client, with a list of how long it slept."""

    def __init__(self, *responses: Response) -> None:
        self.client = FakeClient(*responses)
        self.slept: list[float] = []
        self.table = Table(self.client, "table", self.slept.append)
        self.store = DynamoDBStore(self.client, "table", self.slept.append)


@pytest.fixture
def meter() -> Meter:
    """This test's."""
    return start_meter()


# --- BatchGetItem ---


def _batch(*found: dict[str, Any], left: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    unprocessed = {"table": {"Keys": left, "ConsistentRead": True}} if left else {}
    return {"Responses": {"table": list(found)}, "UnprocessedKeys": unprocessed}


def test_unprocessed_keys_are_asked_for_again() -> None:
    """Only those, after a wait, and consistently; what came before is kept."""
    played = Played(_batch(KEYS[0], left=KEYS[1:3]), _batch(KEYS[1], left=KEYS[2:3]), _batch(KEYS[2]))
    assert played.table.batch_get(KEYS[:3]) == KEYS[:3]
    asked = [arguments["RequestItems"]["table"] for _, arguments in played.client.calls]
    assert [each["Keys"] for each in asked] == [KEYS[:3], KEYS[1:3], KEYS[2:3]]
    assert all(each["ConsistentRead"] for each in asked)
    assert played.slept == list(BACKOFF_SECONDS[:2])


def test_deletions_that_were_not_processed_are_repeated() -> None:
    """25 at once; each response has deleted something, so it ends with the last one, or gives up."""

    def left(*keys: dict[str, Any]) -> dict[str, Any]:
        return {"UnprocessedItems": {"table": [{"DeleteRequest": {"Key": key}} for key in keys]}}

    played = Played(left(*KEYS[:2]), left(KEYS[1]), {}, {})
    played.table.batch_delete(KEYS[:26])
    asked = [arguments["RequestItems"]["table"] for _, arguments in played.client.calls]
    assert [len(each) for each in asked] == [25, 2, 1, 1]
    assert played.slept == [BACKOFF_SECONDS[-1]] * 2
    with pytest.raises(StoreThrottledError):
        Played(left(KEYS[0])).table.batch_delete(KEYS[:2])


def test_keys_that_stay_unprocessed_are_throttling() -> None:
    """After the last wait it gives up, with a time to come back."""
    played = Played(_batch(left=KEYS[:1]))
    with pytest.raises(StoreThrottledError) as caught:
        played.table.batch_get(KEYS[:1])
    assert caught.value.retry_after == 1
    assert played.slept == list(BACKOFF_SECONDS)
    assert len(played.client.calls) == len(BACKOFF_SECONDS) + 1


def test_a_call_asks_for_no_more_than_100_keys() -> None:
    """150 keys are two calls; none are none."""
    played = Played(_batch())
    played.table.batch_get(KEYS)
    assert [len(a["RequestItems"]["table"]["Keys"]) for _, a in played.client.calls] == [100, 50]
    assert Played(_batch()).table.batch_get([]) == []


# --- Query ---


def _found(found: list[dict[str, Any]], **rest: Any) -> dict[str, Any]:
    return {"Items": found, "Count": len(found), **rest}


def test_a_query_follows_its_pages() -> None:
    """Each page starts where the last one ended, an empty one too."""
    last = KEYS[1]
    played = Played(
        _found(KEYS[:2], LastEvaluatedKey=last),
        _found([], LastEvaluatedKey=last),
        _found(KEYS[2:3]),
    )
    assert list(played.table.query()) == KEYS[:3]
    assert [a.get("ExclusiveStartKey") for _, a in played.client.calls] == [None, last, last]


def test_a_query_stops_at_its_limit() -> None:
    """Later pages ask for what is left, and none is read beyond."""
    played = Played(_found(KEYS[:2], LastEvaluatedKey=KEYS[1]), _found(KEYS[2:3], LastEvaluatedKey=KEYS[2]))
    assert list(played.table.query(limit=3)) == KEYS[:3]
    assert [a["Limit"] for _, a in played.client.calls] == [3, 1]


def test_a_query_without_end_is_given_up() -> None:
    """After the most pages that any listing may have."""
    played = Played(_found(KEYS[:1], LastEvaluatedKey=KEYS[0]))
    with pytest.raises(StoreUnavailableError):
        list(played.table.query())
    assert len(played.client.calls) == MAX_PAGES


def test_a_count_moves_no_items() -> None:
    """It follows pages up to its limit, as a listing does, and asks for numbers alone."""
    last = KEYS[1]
    played = Played({"Count": 2, "LastEvaluatedKey": last}, {"Count": 3, "LastEvaluatedKey": last})
    assert played.table.count(5) == 5
    asked = [arguments for _, arguments in played.client.calls]
    assert [(each["Select"], each["Limit"]) for each in asked] == [("COUNT", 5), ("COUNT", 3)]
    assert Played({"Count": 4}).table.count(5) == 4


# --- conflicts with transactions ---


def test_a_number_is_asked_for_again_after_a_conflict(meter: Meter) -> None:
    """An UpdateItem that meets a transaction on the head is repeated, with waits."""
    taken = {"Attributes": items.head_item(HEAD) | {"seq": {"N": "7"}, "messages": {"N": "7"}}}
    played = Played(CONFLICT, refusal("TransactionInProgressException"), taken)
    given = played.store.reserve(HEAD.channel_id, 1, SHOWN)
    assert (given.seq if given else 0) == 7
    assert played.client.operations == ["UpdateItem"] * 3
    assert len(played.slept) == meter.conflicts == 2


def test_a_write_that_always_conflicts_gives_up() -> None:
    """Bounded tries, less than a second in all, then 503 with a time to come back."""
    played = Played(CONFLICT)
    with pytest.raises(ContentionError):
        played.store.void(HEAD.channel_id, [entry(1, None)])
    assert len(played.client.calls) == CONFLICT_TRIES
    assert len(played.slept) == CONFLICT_TRIES - 1, "nobody waits for a try that does not come"
    assert sum(played.slept) < 1


@pytest.mark.parametrize(
    "response", [cancelled("None", "TransactionConflict"), cancelled("TransactionConflict", "None"), CONFLICT]
)
def test_a_commit_that_meets_a_transaction_is_contended(meter: Meter, response: Exception) -> None:
    """The caller decides whether to try again; nothing was written."""
    played = Played(response)
    assert played.store.commit(commitment(HEAD.channel_id, "ada", entry(1))) == Contended()
    assert (len(played.client.calls), meter.conflicts) == (1, 1)


def test_a_failed_condition_says_more_than_a_conflict() -> None:
    """Where one write met a transaction and another's condition failed, trying again is no use."""
    void = entry(1, None)
    commit = commitment(HEAD.channel_id, "ada", entry(1))
    refused = cancelled(
        "ConditionalCheckFailed", "TransactionConflict", item=items.entry_item(HEAD.channel_id, void)
    )
    assert Played(refused).store.commit(commit) == PositionTaken(void)
    refused = cancelled(
        "TransactionConflict", "ConditionalCheckFailed", item=items.membership_item(MEMBERSHIP)
    )
    assert Played(refused).store.commit(commit) == MembershipChanged(MEMBERSHIP)


def test_joining_is_repeated_after_a_conflict(meter: Meter) -> None:
    """Transactions on memberships are tried again as they are."""
    played = Played(cancelled("None", "TransactionConflict"), {})
    assert played.store.add_member(MEMBERSHIP) == MEMBERSHIP
    assert (played.client.operations, meter.conflicts) == (["TransactWriteItems"] * 2, 1)


UNDER_WAY = refusal("TransactionInProgressException")


def test_a_transaction_that_is_under_way_is_not_taken_for_somebody_elses() -> None:
    """It is asked for by its token until it is over: under another one it would meet what it wrote itself."""
    played = Played(UNDER_WAY, UNDER_WAY, {})
    assert played.store.create_channel(HEAD, [MEMBERSHIP]) is None
    first, *others = [arguments for _, arguments in played.client.calls]
    assert others == [first] * 2
    assert played.slept == list(THROTTLED_SECONDS[:2])
    assert played.store.commit(commitment(HEAD.channel_id, "ada", entry(1))) == Committed()
    assert played.client.calls[-1][1]["ClientRequestToken"] != first["ClientRequestToken"]


def test_a_transaction_that_stays_under_way_is_contended() -> None:
    """The caller tries again at the same position, and meets there what came of it."""
    played = Played(UNDER_WAY)
    assert played.store.commit(commitment(HEAD.channel_id, "ada", entry(1))) == Contended()
    assert played.slept == list(THROTTLED_SECONDS)


def test_a_transaction_refused_for_another_reason() -> None:
    """It is throttling when a post is refused, contention when a change of members is."""
    refused = cancelled("ThrottlingError", "None")
    with pytest.raises(StoreThrottledError):
        Played(refused).store.commit(commitment(HEAD.channel_id, "ada", entry(1)))
    with pytest.raises(ContentionError):
        Played(refused).store.add_member(MEMBERSHIP)


def test_a_throttled_transaction_is_tried_again() -> None:
    """As it is but under another token, after a wait: nothing was written, and botocore does not try it again."""
    commit = commitment(HEAD.channel_id, "ada", entry(1))
    throttled = cancelled("ThrottlingError", "TransactionConflict")
    played = Played(throttled, cancelled("None", "ProvisionedThroughputExceeded"), {})
    assert played.store.commit(commit) == Committed()
    first, *others = [arguments["TransactItems"] for _, arguments in played.client.calls]
    assert others == [first] * 2
    assert len({arguments["ClientRequestToken"] for _, arguments in played.client.calls}) == 3
    assert played.slept == list(THROTTLED_SECONDS[:2])


def test_a_transaction_that_stays_throttled_is_given_up() -> None:
    """After the last wait, with a time to come back."""
    played = Played(cancelled("None", "ThrottlingError"))
    with pytest.raises(StoreThrottledError) as caught:
        played.store.commit(commitment(HEAD.channel_id, "ada", entry(1)))
    assert caught.value.retry_after == 1
    assert played.slept == list(THROTTLED_SECONDS)


def test_a_failed_condition_says_more_than_throttling() -> None:
    """A transaction refused by a condition and by throttling is not repeated."""
    void = entry(1, None)
    refused = cancelled(
        "ConditionalCheckFailed", "ThrottlingError", item=items.entry_item(HEAD.channel_id, void)
    )
    played = Played(refused)
    assert played.store.commit(commitment(HEAD.channel_id, "ada", entry(1))) == PositionTaken(void)
    assert (len(played.client.calls), played.slept) == (1, [])


# --- errors ---


def test_throttling_is_an_error_of_its_own() -> None:
    """Every call may be throttled; the error says when to retry."""
    for code in sorted(THROTTLES):
        with case(code):
            with pytest.raises(StoreThrottledError) as caught:
                Played(refusal(code)).store.head(HEAD.channel_id)
            assert caught.value.retry_after == 1


def test_what_may_pass_is_unavailable() -> None:
    """No error of the client leaves the table, and each is kept as the cause."""
    for error in [
        NoAnswerError("ReadTimeoutError"),
        refusal("InternalServerError", 500),
        refusal("ExpiredTokenException"),
    ]:
        with case(error):
            with pytest.raises(StoreUnavailableError) as caught:
                Played(error).store.ping()
            assert caught.value.__cause__ is error
            assert caught.value.retry_after == 1


def test_what_lasts_is_misconfigured(meter: Meter) -> None:
    """It is not retried, and AWS's code is in the request's log line but not in the response."""
    for code in [
        *("AccessDeniedException", "ResourceNotFoundException", "UnrecognizedClientException"),
        *("ValidationException", "InvalidSignatureException", "IncompleteSignatureException"),
        *("MissingAuthenticationTokenException", "SerializationException", "KMSAccessDeniedException"),
        *("InaccessibleEncryptionKeyException", "NotHeardOfException", "NoCredentialsError"),
    ]:
        with case(code):
            with pytest.raises(MisconfiguredError) as caught:
                Played(refusal(code)).store.ping()
            assert (caught.value.status, caught.value.retryable) == (500, False)
            assert code not in caught.value.detail
            assert (meter.aws_error, meter.ledger.take_misconfigured()) == (code, True)


@pytest.mark.parametrize(
    "error",
    [refusal("ThrottlingException"), refusal("InternalServerError", 500), NoAnswerError("ReadTimeoutError")],
)
def test_what_passes_has_its_cause_in_the_line_too(meter: Meter, error: Exception) -> None:
    """A refusal's code or the kind of exception; no metric of what is set up wrongly."""
    with pytest.raises(UnavailableError):
        Played(error).store.ping()
    assert meter.aws_error in {"ThrottlingException", "InternalServerError", "ReadTimeoutError"}
    assert not meter.ledger.take_misconfigured()


@pytest.mark.parametrize("code", ["ValidationError", "AccessDenied", "ItemCollectionSizeLimitExceeded"])
def test_a_transaction_that_is_refused_for_good_is_misconfigured(meter: Meter, code: str) -> None:
    """Any operation; a failed condition in the same transaction takes precedence."""
    with pytest.raises(MisconfiguredError):
        Played(cancelled("None", code)).store.commit(commitment(HEAD.channel_id, "ada", entry(1)))
    with pytest.raises(MisconfiguredError):
        Played(cancelled(code, "None")).store.add_member(MEMBERSHIP)
    assert (meter.aws_error, meter.ledger.take_misconfigured()) == (code, True)
    void = entry(1, None)
    refused = cancelled("ConditionalCheckFailed", code, item=items.entry_item(HEAD.channel_id, void))
    assert Played(refused).store.commit(commitment(HEAD.channel_id, "ada", entry(1))) == PositionTaken(void)


def test_throttles_are_counted_wherever_they_are_met(meter: Meter) -> None:
    """A call, keys left unprocessed, an item of a transaction: also where a later try goes well."""
    with pytest.raises(StoreThrottledError):
        Played(refusal("ThrottlingException")).store.head(HEAD.channel_id)
    Played(_batch(left=KEYS[:1]), _batch(KEYS[0])).table.batch_get(KEYS[:1])
    played = Played(cancelled("None", "ProvisionedThroughputExceeded"), {})
    assert played.store.commit(commitment(HEAD.channel_id, "ada", entry(1))) == Committed()
    assert meter.throttles == 3


# --- units ---


def test_units_are_summed_for_the_request(meter: Meter) -> None:
    """Of one table or of a list of them, reads apart from writes; every call is counted."""
    single = {"ConsumedCapacity": {"TableName": "table", "CapacityUnits": 2.5}}
    several = {"ConsumedCapacity": [{"CapacityUnits": 3.0}, {"CapacityUnits": 0.5}]}
    Played(single).table.get(KEYS[0])
    Played(_batch() | several).table.batch_get(KEYS[:2])
    list(Played(_found([]) | single).table.query())
    Played(single).table.put(Item={})
    Played({"Attributes": {}} | single).table.update()
    Played(several).table.transact({"Put": {}})
    assert (meter.read_units, meter.write_units, meter.calls) == (8.5, 8.5, 6)


def test_an_answer_without_units_costs_nothing(meter: Meter) -> None:
    """A response without consumed capacity counts as 0 units."""
    Played({}).table.get(KEYS[0])
    assert (meter.read_units, meter.calls) == (0, 1)


def test_every_call_asks_for_its_units() -> None:
    """And names the table."""
    played = Played({"Items": [], "Attributes": {}})
    played.table.get(KEYS[0])
    list(played.table.query())
    played.table.put()
    played.table.update()
    played.table.transact({"Put": {}}, {"Delete": {}})
    assert all(arguments["ReturnConsumedCapacity"] == "TOTAL" for _, arguments in played.client.calls)
    *single, (_, transaction) = played.client.calls
    writes = [arguments for write in transaction["TransactItems"] for arguments in write.values()]
    assert all(each["TableName"] == "table" for each in [*(arguments for _, arguments in single), *writes])
