"""Managing channels; their members are in `test_manage_channels_members.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cases import case
from tests.functions.chat import messages, texts
from tests.functions.refusals import ROUTES, state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.storage.memory import MemoryStore
    from tests.api import Response
    from tests.functions.chat import Chat

CHANGING = ["PATCH", "DELETE"]


def create(chat: Chat, user: str = "ada", key: str = "", **body: Any) -> Response:
    """The response to creating a channel."""
    headers = {"idempotency-key": key} if key else None
    return chat.api("POST", "/v1/channels", user=user, body=body, headers=headers)


def change(chat: Chat, channel: str, user: str = "ada", if_match: str = "", **body: Any) -> Response:
    """The response to changing a channel."""
    headers = {"if-match": if_match} if if_match else None
    return chat.api("PATCH", f"/v1/channels/{channel}", user=user, body=body, headers=headers)


# --- creating ---


@pytest.mark.parametrize("kind", ["public", "private"])
def test_the_creator_owns_the_channel(chat: Chat, kind: str) -> None:
    """201 with the channel, its place and its version; the creator is its owner."""
    response = create(chat, kind=kind, name="lobby", topic="Say hello", slow_mode=5, members=["grace"])
    channel = response.json
    assert response.status == 201
    assert response.headers["location"] == f"/v1/channels/{channel['id']}"
    assert response.headers["etag"].startswith('W/"')
    assert (channel["kind"], channel["name"], channel["topic"]) == (kind, "lobby", "Say hello")
    assert (channel["slow_mode"], channel["version"], channel["member_count"]) == (5, 1, 2)
    assert (channel["creator"], channel["role"]) == ("ada", "owner")
    assert "archive" in channel["capabilities"]
    assert chat.follow(response.headers["location"]).json == channel
    assert chat.seen(channel["id"], "grace")["role"] == "member"


def test_members_named_twice_are_members_once(chat: Chat) -> None:
    """The creator and repeated names in `members` do not count again."""
    assert chat.create(members=["grace", "ada", "grace"])["member_count"] == 2


def test_two_channels_may_have_one_name(chat: Chat) -> None:
    """Names need not be unique, ids are."""
    assert chat.create(name="lobby")["id"] != chat.create(name="lobby")["id"]


def test_a_name_stays_as_it_is(chat: Chat) -> None:
    """Up to 80 characters and 160 bytes, as they were written."""
    for name in ["x" * 80, "😀" * 40, "Ünï cödé", " a "]:
        with case(name):
            assert chat.create(name=name)["name"] == name


def test_a_repeated_key_finds_the_channel_again(chat: Chat) -> None:
    """A repeated creation returns the channel that the first try created."""
    first = create(chat, key="key-1", kind="public", name="lobby")
    again = create(chat, key="key-1", kind="public", name="lobby")
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(chat.listing()["channels"]) == 1


def test_a_channels_key_is_remembered_for_ever(chat: Chat) -> None:
    """A post's key is forgotten after a day, this one is not: the document says so."""
    first = create(chat, key="key-1", kind="public", name="lobby")
    chat.clock.ms += 400 * 24 * 3_600_000
    again = create(chat, key="key-1", kind="public", name="lobby")
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json["id"] == first.json["id"]


def test_a_repeated_creation_shows_the_channel_as_it_is_now(chat: Chat) -> None:
    """Renamed, with later posts, archived: not the first response again; the same for a direct channel."""
    body, key = {"kind": "public", "name": "lobby"}, {"Idempotency-Key": "k1"}
    first = chat.api("POST", "/v1/channels", body=body, headers=key).json
    chat.api("PATCH", f"/v1/channels/{first['id']}", body={"name": "hall"})
    chat.post(first["id"], "hello")
    chat.archive(first["id"])
    again = chat.api("POST", "/v1/channels", body=body, headers=key)
    assert again.json == chat.seen(first["id"])
    shown = again.json
    assert (shown["name"], shown["archived"], shown["last_message"]["text"]) == ("hall", True, "hello")
    direct = chat.direct("ada", "grace")
    chat.post(direct, "hello")
    pair = {"kind": "direct", "members": ["grace"]}
    assert chat.api("POST", "/v1/channels", body=pair).json == chat.seen(direct)


BODIES: list[dict[str, Any]] = [
    {"kind": "public", "name": "lobby"},
    {"kind": "public", "name": "other"},
    {"kind": "private", "name": "lobby"},
    {"kind": "public", "name": "lobby", "members": ["grace"]},
    {"kind": "public", "name": "lobby", "slow_mode": 1},
    {"kind": "public", "name": "lobby", "topic": "a"},
    {"kind": "direct", "members": ["grace"]},
    {"kind": "direct", "members": ["linus"]},
]


@pytest.mark.parametrize("first", BODIES, ids=str)
def test_another_channel_under_the_same_key_is_refused(chat: Chat, first: dict[str, Any]) -> None:
    """A key belongs to one channel, also to a direct one."""
    with case():
        made = create(chat, key="key-1", **first).json
        for body in BODIES:
            response = create(chat, key="key-1", **body)
            if body == first:
                assert (response.status in {200, 201}, response.json["id"]) == (True, made["id"])
            else:
                assert (response.status, response.code) == (422, "idempotency_key_reused")
        assert len(chat.listing()["channels"]) == 1


def test_a_pair_is_found_under_any_key(chat: Chat) -> None:
    """200 with the one direct channel, under another key, without one, and for the other user."""
    made = create(chat, key="key-1", kind="direct", members=["grace"])
    again = [
        create(chat, key="key-1", kind="direct", members=["grace"]),
        create(chat, key="key-2", kind="direct", members=["grace", "grace"]),
        create(chat, kind="direct", members=["grace"]),
        create(chat, "grace", key="key-1", kind="direct", members=["ada"]),
    ]
    assert made.status == 201
    assert {(each.status, each.json["id"]) for each in again} == {(200, made.json["id"])}
    assert create(chat, key="key-2", kind="public", name="lobby").code == "idempotency_key_reused"


def test_a_key_is_its_users(chat: Chat) -> None:
    """The same key of two users makes two channels."""
    first = create(chat, key="key-1", kind="public", name="lobby")
    second = create(chat, "grace", key="key-1", kind="public", name="lobby")
    assert first.json["id"] != second.json["id"]


def test_a_pair_has_one_direct_channel(chat: Chat) -> None:
    """From both sides the same channel is found again with 200, and nothing of it is lost."""
    first = create(chat, kind="direct", members=["grace"])
    assert first.status == 201
    chat.post(first.json["id"], "Hello")
    for user, other in (("ada", "grace"), ("grace", "ada")):
        again = create(chat, user, kind="direct", members=[other])
        assert (again.status, again.json["id"]) == (200, first.json["id"])
        assert again.json["last_seq"] == 1
    assert texts(chat.page(first.json["id"], "grace")) == ["Hello"]


def test_other_pairs_have_other_direct_channels(chat: Chat) -> None:
    """Each pair, group and single user has an own channel, which no other user sees."""
    ids = {chat.direct("ada", "grace"), chat.direct("ada", "linus"), chat.direct("grace", "linus")}
    ids |= {chat.group("ada", "grace", "linus"), chat.group("ada", "grace", "linus", "mary")}
    ids |= {chat.direct("ada", "ada"), chat.direct("grace", "grace")}
    assert len(ids) == 7
    for hidden in (
        chat.direct("ada", "grace"),
        chat.group("ada", "grace", "mary"),
        chat.direct("ada", "ada"),
    ):
        assert chat.api("GET", f"/v1/channels/{hidden}", user="linus").status == 404


def test_a_group_is_found_again_by_its_members(chat: Chat) -> None:
    """By whom ever and in whatever order they are named, and up to 10 of them: 200 with the same channel."""
    users = ["ada", "grace", "linus", *(f"user{number}" for number in range(7))]
    for members in (users[:3], users):
        with case(len(members)):
            first = create(chat, kind="group", members=members[1:])
            assert (first.status, first.json["member_count"], first.json["name"]) == (201, len(members), "")
            again = [
                create(chat, key=f"key-{len(members)}", kind="group", members=members[1:]),
                create(chat, "grace", kind="group", members=[*reversed(members), "linus"]),
            ]
            assert {(each.status, each.json["id"]) for each in again} == {(200, first.json["id"])}


def test_a_channel_with_oneself_is_found_again(chat: Chat) -> None:
    """With no member named, or only the caller: a direct channel of one member, who posts and reads there."""
    first = create(chat, kind="direct")
    assert (first.status, first.json["member_count"], first.json["kind"]) == (201, 1, "direct")
    chat.post(first.json["id"], "Buy milk")
    for members in ([], ["ada"], ["ada", "ada"]):
        again = create(chat, kind="direct", members=members)
        assert (again.status, again.json) == (200, chat.seen(first.json["id"]))
    assert texts(chat.page(first.json["id"])) == ["Buy milk"]


def test_the_members_of_a_direct_or_group_channel_are_equals(chat: Chat) -> None:
    """All may read, post, react and pin; none may change the channel or see versions of others' messages."""
    for users in (["ada"], ["ada", "grace"], ["grace", "linus", "ada"]):
        with case(len(users)):
            channel = create(chat, users[0], kind=kind_of(users), members=users[1:]).json["id"]
            for user in users:
                assert chat.seen(channel, user)["capabilities"] == ["read", "post", "react", "pin"]
                posted = chat.post(channel, user=user)
                pinned = chat.api("PUT", f"{messages(channel)}/{posted['id']}/pin", user=user)
                assert pinned.status == 204
                for other in users:
                    found = chat.api("GET", f"{messages(channel)}/{posted['id']}/versions", user=other)
                    assert found.status == (200 if other == user else 403)


def kind_of(users: Sequence[str]) -> str:
    """The kind of channel that so many users share."""
    return "direct" if len(users) < 3 else "group"


# --- seeing ---


def test_a_public_channel_may_be_seen_before_it_is_joined(chat: Chat) -> None:
    """A user who has not joined sees the channel but not its messages."""
    channel = chat.channel()
    chat.post(channel, "among us")
    seen = chat.seen(channel, "grace")
    assert (seen["name"], seen["capabilities"]) == ("lobby", ["join"])
    assert [seen[name] for name in ("role", "last_message", "unread_count", "last_read_seq")] == [None] * 4


def test_a_private_channel_is_seen_by_its_members(chat: Chat) -> None:
    """To anybody else there is no such channel."""
    channel = chat.channel("grace", kind="private")
    assert chat.seen(channel, "grace")["name"] == "lobby"
    response = chat.api("GET", f"/v1/channels/{channel}", user="linus")
    assert (response.status, response.code) == (404, "channel_not_found")


# --- changing ---


def test_a_change_moves_the_version(chat: Chat) -> None:
    """Absent fields stay; the response is the whole channel as it is now."""
    channel = chat.create(topic="old", slow_mode=3)
    response = change(chat, channel["id"], topic="new")
    assert response.status == 200
    assert response.headers["etag"] == chat.api("GET", f"/v1/channels/{channel['id']}").headers["etag"]
    assert response.json == channel | {"topic": "new", "version": 2} == chat.seen(channel["id"])
    assert change(chat, channel["id"], name="hall", slow_mode=0).json["slow_mode"] == 0


def test_a_change_of_nothing_changes_nothing(chat: Chat) -> None:
    """An empty change returns the channel as it is, and still checks the version."""
    channel = chat.create()
    assert change(chat, channel["id"]).json == channel
    assert change(chat, channel["id"], if_match='"2"').status == 412


def test_a_topic_can_be_taken_away(chat: Chat) -> None:
    """An empty topic is one."""
    assert change(chat, chat.create(topic="old")["id"], topic="").json["topic"] == ""


def test_a_change_of_another_version_is_refused(chat: Chat) -> None:
    """With `If-Match` a change is made only to the version that it names."""
    channel = chat.channel()
    assert change(chat, channel, if_match='"1"', topic="first").status == 200
    late = change(chat, channel, if_match='"1"', topic="second")
    assert (late.status, late.code) == (412, "version_mismatch")
    assert chat.seen(channel)["topic"] == "first"
    assert change(chat, channel, if_match='"2"', topic="second").status == 200
    assert change(chat, channel, if_match="*", topic="third").status == 200


STRANGE_TAGS = ['W/"1"', '"01"', '"01x"', '"-1"', '"+1"', '"9999999999999"', '"x"', '""']


def conditional(chat: Chat, method: str, channel: str, if_match: str) -> Response:
    """The response to a change, or to archiving, with an `If-Match` header."""
    body = {"topic": "new"} if method == "PATCH" else None
    return chat.api(method, f"/v1/channels/{channel}", body=body, headers={"if-match": if_match})


def test_a_tag_that_is_no_version_never_matches(chat: Chat) -> None:
    """`If-Match` compares strongly: what is not our tag is another version's."""
    for method in CHANGING:
        with case(method):
            for tag in STRANGE_TAGS:
                with case(tag):
                    channel = chat.create()
                    response = conditional(chat, method, channel["id"], tag)
                    assert (response.status, response.code) == (412, "version_mismatch")
                    assert chat.seen(channel["id"]) == channel


def test_any_version_of_the_list_may_match(chat: Chat) -> None:
    """`If-Match` names one version, several, or any."""
    for method in CHANGING:
        with case(method):
            for form in ["{}", '"7", {}', '{},"7"', ' , W/"1" ,\t{} ,', '"a,b", "x", {}', "*", " * "]:
                with case(form):
                    response = conditional(chat, method, chat.channel(), form.format('"1"'))
                    assert response.status in {200, 204}, response.body


def test_a_malformed_if_match_is_422(chat: Chat) -> None:
    """A missing quote is reported as malformed, not as a version mismatch."""
    for method in CHANGING:
        with case(method):
            for header in [
                "",
                "1",
                "x",
                "é",
                '"1',
                "'1'",
                '"1" "2"',
                '"1"; "2"',
                '*, "1"',
                'w/"1"',
                '"1 "',
                ",",
                "W/",
                "**",
            ]:
                with case(header):
                    channel = chat.create()
                    response = conditional(chat, method, channel["id"], header)
                    assert (response.status, [error["field"] for error in response.json["errors"]]) == (
                        422,
                        ["header.if-match"],
                    )
                    assert chat.seen(channel["id"]) == channel


@pytest.mark.parametrize("method", CHANGING)
def test_a_precondition_comes_after_the_right_to_change(chat: Chat, method: str) -> None:
    """A missing right is reported before a version mismatch (RFC 9110, 13.2.1)."""
    channel, hidden = chat.channel("grace"), chat.channel(kind="private")
    for place, status in ((channel, 403), (hidden, 404)):
        response = chat.api(
            method, f"/v1/channels/{place}", user="grace", body={"topic": "a"}, headers={"if-match": '"9"'}
        )
        assert response.status == status


def test_archiving_asks_for_the_version(chat: Chat) -> None:
    """Archiving another version is 412; once the channel is archived, a repetition succeeds."""
    channel = chat.channel()
    change(chat, channel, topic="new")
    assert conditional(chat, "DELETE", channel, '"1"').status == 412
    assert chat.seen(channel)["archived"] is False
    for _ in range(2):
        assert conditional(chat, "DELETE", channel, '"2"').status == 204
    assert (chat.seen(channel)["archived"], chat.seen(channel)["version"]) == (True, 3)


def test_a_channels_tag_is_weak_and_names_what_the_caller_sees(chat: Chat) -> None:
    """Another for each caller and after each post, as the bodies differ; the same is a 304."""
    channel = chat.channel("grace")
    tags = set()
    for user in ("ada", "grace", "ada"):
        response = chat.api("GET", f"/v1/channels/{channel}", user=user)
        tag = response.headers["etag"]
        assert tag.startswith('W/"')
        assert tag not in tags
        tags.add(tag)
        for known in (tag, tag.removeprefix("W/"), f'"x", {tag}', "*"):
            again = chat.api("GET", f"/v1/channels/{channel}", user=user, headers={"if-none-match": known})
            assert (again.status, again.body, again.headers["etag"]) == (304, "", tag)
        chat.post(channel)
    for other in [*tags, "x", '"1"', 'W/"1"']:
        assert chat.api("GET", f"/v1/channels/{channel}", headers={"if-none-match": other}).status == 200


def test_no_tag_of_a_channel_is_a_version(chat: Chat) -> None:
    """`If-Match` with the weak tag of a channel is 412: what it takes is the field `version`."""
    channel = chat.create()
    tag = chat.api("GET", f"/v1/channels/{channel['id']}").headers["etag"]
    for known in (tag, tag.removeprefix("W/")):
        assert conditional(chat, "PATCH", channel["id"], known).status == 412
    assert conditional(chat, "PATCH", channel["id"], f'"{channel["version"]}"').status == 200


def test_a_precondition_that_a_change_does_not_judge_is_422(chat: Chat, store: MemoryStore) -> None:
    """It is never passed over: the change would be made against the caller's word."""
    for header in ["if-match", "if-none-match"]:
        with case(header):
            for route in [route for route in ROUTES if route.method != "GET"]:
                with case(route):
                    channel = chat.channel("grace")
                    if header == "if-match" and route.name in {"update_channel", "archive_channel"}:
                        return
                    before = state(store)
                    response = chat.api(
                        route.method, route.path(channel), body=route.body, headers={header: "*"}
                    )
                    assert (response.status, [error["field"] for error in response.json["errors"]]) == (
                        422,
                        [f"header.{header}"],
                    )
                    assert state(store) == before


def test_posting_does_not_move_the_version(chat: Chat) -> None:
    """The version counts changes of the channel, not its messages or members."""
    channel = chat.channel()
    chat.post(channel)
    chat.put_member(channel, "grace")
    assert chat.seen(channel)["version"] == 1


def test_the_preview_survives_a_change(chat: Chat) -> None:
    """A new name does not touch the log."""
    channel = chat.channel()
    chat.post(channel, "Hello")
    changed = change(chat, channel, name="hall").json
    assert (changed["last_seq"], changed["last_message"]["text"]) == (1, "Hello")


def test_a_new_name_sorts_the_public_list_anew(chat: Chat) -> None:
    """A renamed channel is found under its new name."""
    chat.create(name="bravo")
    change(chat, chat.create(name="alpha")["id"], name="charlie")
    page = chat.listing("grace", scope="public")
    assert [channel["name"] for channel in page["channels"]] == ["bravo", "charlie"]


def test_owners_and_moderators_change_a_channel(chat: Chat) -> None:
    """Plain members and strangers may not."""
    for role, status in [("member", 403), ("moderator", 200), ("owner", 200), (None, 403)]:
        with case(role, status):
            channel = chat.channel()
            if role:
                chat.put_member(channel, "grace", role=role)
            response = change(chat, channel, "grace", topic="new")
            assert response.status == status
            assert status == 200 or response.code == ("forbidden" if role else "not_a_member")


# --- archiving ---


def test_an_archived_channel_is_read_only(chat: Chat) -> None:
    """204; from then on the channel is read, and nothing of it changed."""
    channel = chat.channel("grace")
    chat.post(channel, "last words")
    response = chat.archive(channel)
    assert (response.status, response.body) == (204, "")
    seen = chat.seen(channel, "grace")
    assert (seen["archived"], seen["version"]) == (True, 2)
    assert texts(chat.page(channel, "grace")) == ["last words"]
    refused = [
        change(chat, channel, topic="new"),
        chat.put_member(channel, "linus"),
        chat.put_member(channel, "me", "linus"),
        chat.put_member(channel, "grace", role="owner"),
        chat.remove(channel, "grace"),
    ]
    assert [(response.status, response.code) for response in refused] == [(409, "channel_archived")] * 5


def test_archiving_again_changes_nothing(chat: Chat) -> None:
    """Archiving can be repeated."""
    channel = chat.channel()
    chat.archive(channel)
    version = chat.seen(channel)["version"]
    assert chat.archive(channel).status == 204
    assert chat.seen(channel)["version"] == version


def test_a_member_may_leave_an_archived_channel(chat: Chat) -> None:
    """A member can leave an archived channel."""
    channel = chat.channel("grace")
    chat.archive(channel)
    assert chat.remove(channel, "me", "grace").status == 204
    assert chat.listing("grace")["channels"] == []


def test_only_owners_archive(chat: Chat) -> None:
    """Moderators may not end a channel."""
    for role in ["member", "moderator"]:
        with case(role):
            channel = chat.channel()
            chat.put_member(channel, "grace", role=role)
            response = chat.archive(channel, "grace")
            assert (response.status, response.code) == (403, "forbidden")
            assert chat.seen(channel)["archived"] is False


def test_a_direct_channel_stays_as_it_is(chat: Chat) -> None:
    """It is not changed, archived, joined or left."""
    channel = chat.direct("ada", "grace")
    refused = [
        change(chat, channel, topic="new"),
        chat.archive(channel),
        chat.put_member(channel, "linus"),
        chat.put_member(channel, "grace", role="owner"),
        chat.remove(channel, "me"),
        chat.remove(channel, "grace"),
    ]
    assert [(response.status, response.code) for response in refused] == [(409, "direct_channel")] * 6
