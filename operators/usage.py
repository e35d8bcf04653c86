"""The use of Redis today and this month, compared with the Upstash plan: ``python -m operators.usage``.

By default of the running local stack, since it started; with ``--cloudwatch`` of a deployment, from the metrics of
its functions. For scheduled jobs, ``--check`` exits with 1 when it is time to act.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Protocol

from local.demo.client import Client, UnreachableError
from local.orphans import read, still_runs
from local.settings import LocalSettings, SettingError, read_environment
from shared.domain.plans import DEFAULT, MIB, PLANS, Advice, Plan, Usage, advise, stored_bytes

ROOT: Final = Path(__file__).resolve().parents[1]
STATE: Final = ROOT / ".local"
STACK: Final = "budgie"
"""The default stack, as named in `samconfig.toml`; --stack names another."""
METRICS: Final = {
    "RedisCommands": "Sum",
    "RedisStoredBytes": "Maximum",
    "CacheHits": "Sum",
    "CacheReads": "Sum",
    "RedisFailures": "Sum",
}
"""A query to CloudWatch, and how a day's values are aggregated."""
NAMESPACE: Final = "Budgie"
DAY_SECONDS: Final = 86_400
_MAX_PAGES: Final = 20


class NoUsageError(RuntimeError):
    """No figures are available; the text says why and what to do."""


class CloudWatch(Protocol):
    """The part of boto3's client that is used."""

    def get_metric_data(self, **query: object) -> Mapping[str, Any]:
        """See CloudWatch's API."""


@dataclass(frozen=True, slots=True)
class Figures:
    """A usage and its source."""

    source: str
    usage: Usage


def from_cloudwatch(client: CloudWatch, now: datetime, stack: str = STACK) -> Figures:
    """A deployment's figures: days begin at midnight UTC, as Upstash's do.

    The stored bytes are the functions' estimate, from their last reads and writes of the bundles.
    """
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    days = _by_day(client, stack, today.replace(day=1), today + timedelta(days=1))
    reads, hits = days["CacheReads"].get(today, 0), days["CacheHits"].get(today, 0)
    stored = days["RedisStoredBytes"]
    usage = Usage(
        commands_today=round(days["RedisCommands"].get(today, 0)),
        commands_month=round(sum(days["RedisCommands"].values())),
        stored_bytes=round(stored[max(stored)]) if stored else None,
        hit_rate=hits / reads if reads else None,
        failures_today=round(days["RedisFailures"].get(today, 0)),
        day_of_month=(now - today.replace(day=1)) / timedelta(days=1),
    )
    return Figures(f"CloudWatch, stack {stack}", usage)


def _by_day(
    client: CloudWatch, stack: str, begin: datetime, end: datetime
) -> dict[str, dict[datetime, float]]:
    dimensions = [{"Name": "service", "Value": stack}]
    queries = [
        {
            "Id": name.lower(),
            "Label": name,
            "MetricStat": {
                "Metric": {"Namespace": NAMESPACE, "MetricName": name, "Dimensions": dimensions},
                "Period": DAY_SECONDS,
                "Stat": statistic,
            },
        }
        for name, statistic in METRICS.items()
    ]
    asked: dict[str, Any] = {"MetricDataQueries": queries, "StartTime": begin, "EndTime": end}
    found: dict[str, dict[datetime, float]] = {name: {} for name in METRICS}
    for _ in range(_MAX_PAGES):
        page = client.get_metric_data(**asked)
        for series in page["MetricDataResults"]:
            found[series["Label"]].update(zip(series["Timestamps"], series["Values"], strict=True))
        if not page.get("NextToken"):
            break
        asked["NextToken"] = page["NextToken"]
    return found


def from_endpoint(upstash: Client, api: Client | None) -> Figures:
    """The local endpoint's figures since its start, which are used for both the day and the month.

    Raises:
        NoUsageError: it does not respond, or is not one of ours.
    """
    counted = _json(upstash, "GET", "/-/usage")
    info = _json(upstash, "POST", "/", ["INFO"]).get("result", "")
    health = api.call("GET", "/v1/healthz?deep=1").json if api else {}
    usage = Usage(
        commands_today=counted["commands"],
        commands_month=counted["commands"],
        stored_bytes=stored_bytes(str(info)),
        hit_rate=_hit_rate(health),
        connections=counted["peak_connections"],
        moved_bytes=counted["bytes_in"] + counted["bytes_out"],
        trouble=(health.get("checks") or {}).get("redis", {}).get("code"),
    )
    return Figures("the local stack, since it started", usage)


def _json(client: Client, method: str, path: str, body: object = None) -> dict[str, Any]:
    response = client.call(method, path, "operator", body=body)
    if response.status != HTTPStatus.OK:
        raise NoUsageError(
            f"the Upstash endpoint answered {response.status}: is it the one of this project's `make run`?"
        )
    found: dict[str, Any] = response.json
    return found


def _hit_rate(health: Mapping[str, Any]) -> float | None:
    rate = (health.get("cache") or {}).get("hit_rate")
    return float(rate) if rate is not None else None


def report(plan: Plan, figures: Figures) -> str:
    """For a terminal."""
    use = figures.usage
    price = plan.price(_month(use))
    rows = {
        "commands today": f"{use.commands_today:,} {_of(plan.commands_a_day)}",
        "commands this month": f"{use.commands_month:,} {_of(plan.commands_a_month)}",
        "  at this pace": f"{use.month_at_this_pace:,}",
        "stored": "not known"
        if use.stored_bytes is None
        else f"{use.stored_bytes / MIB:.1f} MB {_of_mb(plan)}",
        "hit rate": "no reads yet" if use.hit_rate is None else f"{use.hit_rate:.1%} (guide: 80 to 90 %)",
        "connections": "not known"
        if use.connections is None
        else f"{use.connections} {_of(plan.connections)}",
        "a month at this pace": "not on this plan" if price is None else f"${price:,.2f}",
    }
    lines = [f"Upstash plan {plan.name} ({plan.title}); figures of {figures.source}"]
    lines += [f"  {name:<22}{value}" for name, value in rows.items()]
    lines += [f"{'ACT' if each.urgent else 'note'}: {each.text}" for each in advise(plan, use)] or [
        "All is well."
    ]
    return "\n".join(lines)


def _month(use: Usage) -> Usage:
    return Usage(use.commands_today, use.month_at_this_pace, use.stored_bytes, moved_bytes=use.moved_bytes)


def _of(limit: int | None) -> str:
    return "(no limit)" if limit is None else f"of {limit:,}"


def _of_mb(plan: Plan) -> str:
    return "(no limit)" if plan.stored_bytes is None else f"of {plan.stored_bytes / MIB:,.0f} MB"


def as_json(plan: Plan, figures: Figures, advice: Sequence[Advice]) -> str:
    """One line of JSON."""
    return json.dumps(
        {
            "plan": asdict(plan),
            "source": figures.source,
            "usage": asdict(figures.usage),
            "advice": [asdict(each) for each in advice],
        }
    )


def _local(environ: Mapping[str, str], state: Path, url: str | None) -> Figures:
    settings = LocalSettings.from_env(environ)
    if settings.upstash_redis_rest_url and not url:
        raise NoUsageError(
            "the local stack uses a database of yours (UPSTASH_REDIS_REST_URL): its console shows the commands"
        )
    owner = read(state / "lock")
    runs = bool(owner.get("url")) and still_runs(owner)
    token_file = state / "upstash-token"
    if not (url or runs) or not token_file.exists():
        raise NoUsageError("no local stack runs here: `make run` first, or --cloudwatch for a deployment")
    token = token_file.read_text()
    with (
        Client(url or str(owner["upstash"]), lambda _: token, tries=1) as upstash,
        Client(str(owner.get("url") or ""), str, tries=1) as api,
    ):
        try:
            return from_endpoint(upstash, api if runs else None)
        except UnreachableError as error:
            raise NoUsageError(
                f"{error}: is `make run` running? Another endpoint is given as --url"
            ) from None


def _cloudwatch(region: str | None, stack: str) -> Figures:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = boto3.client("cloudwatch", region_name=region)
        return from_cloudwatch(client, datetime.now(UTC), stack)
    except (BotoCoreError, ClientError) as error:
        raise NoUsageError(f"CloudWatch: {error}") from None


def main(
    arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ, root: Path = ROOT
) -> int:
    """Prints the figures; returns 1 if it is time to act and `--check` was given, 2 if there are no figures."""
    options = _parse(arguments)
    try:
        merged = read_environment(root, environ)
        plan = PLANS[options.plan or merged.get("UPSTASH_PLAN", "").strip() or DEFAULT]
        figures = (
            _cloudwatch(options.region, options.stack)
            if options.cloudwatch
            else _local(merged, root / STATE.name, options.url)
        )
    except KeyError as error:
        print(f"usage: UPSTASH_PLAN is {error}, not one of {', '.join(PLANS)}", file=sys.stderr)
        return 2
    except (NoUsageError, SettingError) as error:
        print(f"usage: {error}", file=sys.stderr)
        return 2
    advice = advise(plan, figures.usage)
    print(as_json(plan, figures, advice) if options.json else report(plan, figures))
    return int(options.check and any(each.urgent for each in advice))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m operators.usage", description="Redis against the Upstash plan."
    )
    parser.add_argument("--plan", choices=sorted(PLANS), help="instead of UPSTASH_PLAN")
    parser.add_argument(
        "--cloudwatch", action="store_true", help="of a deployment, with your AWS credentials"
    )
    parser.add_argument("--region", help="of the deployment, instead of your default one")
    parser.add_argument("--stack", default=STACK, help=f"the deployment's stack (default: {STACK})")
    parser.add_argument("--url", help="a local Upstash endpoint other than that of `make run`")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--check", action="store_true", help="exit with 1 when it is time to act")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
