"""Counts of what the cache did."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from shared.observability.meter import HITS, OUTCOMES, CacheMetrics, start_meter


def test_outcomes_make_the_hit_rate() -> None:
    """Memory, Redis and caught up are hits; a miss and a stale page are not."""
    metrics = CacheMetrics()
    assert metrics.hit_rate() is None
    for outcome in OUTCOMES:
        metrics.read("pages", outcome)
    metrics.read("channels", "memory")
    assert metrics.hit_rate("pages") == round(len(HITS) / len(OUTCOMES), 4)
    assert metrics.hit_rate("channels") == 1.0
    assert metrics.hit_rate() == round((len(HITS) + 1) / (len(OUTCOMES) + 1), 4)


def test_a_request_learns_its_tier() -> None:
    """The request's meter says which tier served it, and the hit rate so far."""
    metrics = CacheMetrics()
    metrics.read("pages", "miss")
    meter = start_meter()
    metrics.read("pages", "redis")
    assert (meter.tier, meter.hit_rate) == ("redis", 0.5)


def test_no_count_is_lost_among_threads() -> None:
    """Eight threads count at once."""
    metrics = CacheMetrics()

    def count(_: int) -> None:
        for _ in range(500):
            metrics.command("get_pages")
            metrics.read("pages", "memory")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    assert metrics.commands == 4_000
    assert metrics.snapshot()["pages"] == {"memory": 4_000}


def test_the_snapshot_groups_what_belongs_together() -> None:
    """Commands by reason, failures by kind, reads by outcome, and the sums."""
    metrics = CacheMetrics()
    metrics.command("get_pages")
    metrics.count("failure.timeout", 2)
    metrics.count("bytes_raw", 10)
    metrics.read("channels", "miss")
    assert metrics.snapshot() == {
        "hit_rate": 0.0,
        "pages": {},
        "channels": {"miss": 1},
        "redis_commands": {"get_pages": 1},
        "redis_failures": {"timeout": 2},
        "redis_ms": 0,
        "unreadable": 0,
        "bytes_raw": 10,
        "bytes_stored": 0,
    }
