"""Servers on 127.0.0.1 distinguish programs and pages of this machine from all other web pages."""

from __future__ import annotations

import pytest

from local.guard import is_own_host, is_own_origin, refusal


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:3000",
        "127.0.0.1",
        "localhost:8000",
        "LOCALHOST",
        "app.localhost:1",
        "[::1]:3000",
        "172.17.0.1:8000",
        "host.docker.internal:8000",
    ],
)
def test_addresses_and_local_names_are_our_own_host(host: str) -> None:
    """An address, localhost, and the name under which containers call this machine."""
    assert is_own_host(host)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example:3000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example@127.0.0.1.nip.io",
        "evillocalhost",
        "[::1",
        "2130706433",
    ],
)
def test_names_that_anybody_can_have_are_no_host_of_ours(host: str | None) -> None:
    """Any other name is refused, whatever it resolves to; so is a request without a host."""
    assert not is_own_host(host)


@pytest.mark.parametrize("origin", [None, "http://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:1"])
def test_programs_and_pages_of_this_machine_may_call(origin: str | None) -> None:
    """A program sends no origin; a page that is being developed here has a local one."""
    assert is_own_origin(origin)


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "", "http://192.168.1.7", "file://", "http://localhost.evil.example"],
)
def test_pages_from_elsewhere_may_not(origin: str) -> None:
    """Pages of other origins, of opaque origins and of the local network are refused."""
    assert not is_own_origin(origin)


def test_an_origin_that_is_named_may_call() -> None:
    """As listed in the template's CORS configuration; the host must still be ours."""
    assert not refusal("localhost", "https://app.example", {"https://app.example"})
    assert refusal("app.example", "https://app.example", {"https://app.example"})
