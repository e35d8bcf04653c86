"""``python -m operators export-channel|export-user|erase-user|sweep-channel``: see docs/operations.md.

Exports go to standard output, messages for a person to standard error. Exits with 0 when done, 1 if not (run it again
to finish or continue), 2 for invalid arguments.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from operators import table
from operators.erase_user import Eraser, survey
from operators.exports import Exporter, UnknownError
from operators.sweep_channel import Sweeper
from shared.domain import keys
from shared.domain.clock import now_ms
from shared.domain.errors import BudgieError
from shared.observability.meter import start_meter
from shared.settings import Settings, SettingsError

if TYPE_CHECKING:
    from shared.storage.protocol import Store

Sleep = Callable[[float], None]


def main(
    arguments: Sequence[str] | None = None,
    state: Path = table.STATE,
    sleep: Sleep = time.sleep,
) -> int:
    """Runs the command.

    Args:
        arguments: of the command line.
        state: of the local stack, which is used if no table is named.
        sleep: waits for a number of seconds.

    Returns:
        The exit status.
    """
    from botocore.exceptions import BotoCoreError

    given = _parse(arguments)
    try:
        store = table.deployed(given.table, given.region) if given.table else table.local(state)
        return int(given.run(store, given, sleep))
    except BudgieError as error:
        return _fail(f"{error} {error.__cause__ or ''}")
    except (BotoCoreError, SettingsError, UnknownError, table.NoTableError) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return 130


def _export_channel(store: Store, given: argparse.Namespace, sleep: Sleep) -> int:
    return _write(Exporter(store, sleep, now_ms).channel(given.id, given.after))


def _export_user(store: Store, given: argparse.Namespace, sleep: Sleep) -> int:
    return _write(Exporter(store, sleep, now_ms).user(given.id, given.after))


def _erase_user(store: Store, given: argparse.Namespace, sleep: Sleep) -> int:
    if not given.yes:
        found = survey(store, given.id)
        _say(
            f"would redact {found.messages} messages in {found.channels} channels, and end the memberships there"
        )
        return _fail("nothing was changed; to erase, add --yes")
    settings = Settings.from_env(os.environ)
    stand_in = max(settings.cache_ttl_messages, settings.cache_ttl_channels)
    erased = Eraser(store, sleep, now_ms, stand_in, _say).erase(given.id)
    _say(
        f"redacted {erased.messages} messages; {erased.channels} channels have nothing of this user any more"
    )
    if erased.returned:
        return _fail(
            "the user joined a channel meanwhile: delete their account at the issuer, then run this again"
        )
    return 0


def _sweep_channel(store: Store, given: argparse.Namespace, sleep: Sleep) -> int:
    meter = start_meter()
    found = Sweeper(store, sleep, now_ms, _say).sweep(given.id, dry_run=not given.yes)
    _say(f"{'deleted' if given.yes else 'would delete'} {found}")
    _say(f"{meter.read_units:g} read units, {meter.write_units:g} write units")
    return 0 if given.yes else _fail("nothing was changed; to delete, add --yes")


def _write(lines: Iterable[bytes]) -> int:
    count = 0
    for line in lines:
        sys.stdout.buffer.write(line + b"\n")
        count += 1
    sys.stdout.buffer.flush()
    _say(f"{count} lines")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _fail(reason: str) -> int:
    _say(f"operators: {reason.strip()}")
    return 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m operators", description="Tools for an operator.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    after = "continue after this message: the id in the last line of an interrupted export"
    for name, run, what, help_ in (
        ("export-channel", _export_channel, _channel_id, "write a channel as JSON lines"),
        ("export-user", _export_user, _user_id, "write a user's messages and memberships as JSON lines"),
        ("erase-user", _erase_user, _user_id, "redact a user's messages and end their memberships"),
        ("sweep-channel", _sweep_channel, _channel_id, "delete expired messages that DynamoDB keeps"),
    ):
        command = commands.add_parser(name, help=help_, description=help_)
        command.add_argument("id", type=what, help="the channel's or user's id")
        command.add_argument("--table", help="a deployment's table; by default the running local stack's")
        command.add_argument("--region", help="of that table, if the environment or profile does not set it")
        if run in {_erase_user, _sweep_channel}:
            command.add_argument("--yes", action="store_true", help="do it; without this it only counts")
        else:
            command.add_argument("--after", metavar="MESSAGE_ID", help=after)
        command.set_defaults(run=run)
    return parser.parse_args(arguments)


def _channel_id(text: str) -> str:
    if not keys.is_channel_id(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a channel's id")
    return text


def _user_id(text: str) -> str:
    if not keys.is_stored_user_id(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid user id")
    return text


if __name__ == "__main__":
    sys.exit(main())
