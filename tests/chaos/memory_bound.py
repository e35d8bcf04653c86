"""Whether the memory tier keeps to its bound: `python -m tests.chaos.memory_bound`.

Pages of 10,000 channels, what vouches for them and lists of channels go through the cache as requests put them there,
ten times what it may hold. What it counts is held against what Python allocated (tracemalloc) and against what the
process grew by (resident pages, where ``/proc`` tells).
"""

from __future__ import annotations

import gc
import random
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bench.lib import command
from shared.bootstrap import Services, compose
from shared.domain.messages import Draft, encode
from shared.domain.model import ChannelState, Entry, Head, Kind, Membership, Preview, Role
from shared.settings import Settings
from shared.storage.memory import MemoryStore
from shared.use_cases.fetch_messages import Window, fetch_messages
from shared.use_cases.list_channels import Listing, list_channels

NOW: Final = 1_795_459_464_000
MEBIBYTE: Final = 1024 * 1024
PAGE_BYTES: Final = 4_096
"""Of ``/proc/self/statm``."""
LISTED: Final = 20
TOLERANCE: Final = 0.15
"""Of what a value says that it occupies."""
SEED: Final = 5


class MadeUpStore(MemoryStore):
    """Channels whose logs are generated when they are read, as fresh objects, as if a response were parsed."""

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:  # noqa: ARG002 - the interface
        """Every user is in every channel."""
        return ChannelState(self._head(channel_id), self._membership(channel_id, user_id))

    def memberships(self, user_id: str) -> list[Membership]:
        """Some channels."""
        first = int(user_id[-9:])
        return [self._membership(f"{first + number:016d}", user_id) for number in range(LISTED)]

    def heads(self, channel_ids: object) -> dict[str, Head]:
        """Of any channels."""
        return {str(each): self._head(str(each)) for each in channel_ids}  # type: ignore[attr-defined]  # an iterable

    def entries(self, channel_id: str, first: int, last: int) -> list[Entry]:
        """Messages of one to some hundred words."""
        chooser = random.Random(f"{channel_id}.{first}")
        return [
            Entry(seq, seq, NOW, encode(channel_id, seq, f"user-{seq:031d}", NOW, Draft(_text(chooser))))
            for seq in range(first, last + 1)
        ]

    def _head(self, channel_id: str) -> Head:
        seq = 60 + int(channel_id) % 500
        preview = Preview(
            seq, f"user-{seq:031d}", f"What was said last in {channel_id}, or some of it", NOW - seq
        )
        name, topic = f"name of {channel_id}", f"What we talk about in {channel_id} from morning to evening"
        return Head(
            str(int(channel_id)).zfill(16), Kind.PUBLIC, name, topic, f"user-{seq:031d}", NOW - seq,
            seq=seq, messages=seq, last=preview,
        )  # fmt: skip

    def _membership(self, channel_id: str, user_id: str) -> Membership:
        seq = 300 + int(channel_id) % 500
        user, channel = f"{user_id[:4]}{user_id[4:]}", str(int(channel_id)).zfill(16)  # strings of its own
        return Membership(user, channel, Role.MEMBER, NOW - seq, seq, seq)


def _text(chooser: random.Random) -> str:
    return "budgie " * min(100, 1 + int(chooser.expovariate(0.07)))


class Load:
    """Requests that fill a cache of some bytes.

    Args:
        channels: how many.
        bound: bytes that the cache may hold.
    """

    def __init__(self, channels: int, bound: int) -> None:
        self._bound = bound
        self._chooser = random.Random(SEED)
        self._order = list(range(channels))
        self._chooser.shuffle(self._order)
        self.services: Services = compose(Settings(cache_memory_bytes=bound), MadeUpStore(), lambda: NOW)
        self.most = 0
        self.read_bytes = 0

    def run(self) -> None:
        """Each channel once, mixed with the popular channels and the lists of a fifth of the users."""
        for number in self._order:
            self._read(number)
            self._read(int(self._chooser.paretovariate(0.5)) % len(self._order))
            if number % 5 == 0:
                list_channels(self.services, f"user-{number:031d}", Listing(50))
            self.most = max(self.most, self.services.bytes_held)

    def _read(self, number: int) -> None:
        window = Window(50, before=51 if number % 3 else None)
        page = fetch_messages(self.services, f"user-{number:031d}", f"{number:016d}", window, frozenset())
        self.read_bytes += len(page.body or b"")


def resident_bytes() -> int | None:
    """The bytes that the process occupies; None where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * PAGE_BYTES if statm.exists() else None


def traced_bytes() -> int:
    """What Python has allocated and not given back."""
    return tracemalloc.get_traced_memory()[0]


def growth(load: Load, measure: Callable[[], int | None]) -> int | None:
    """By how much a measure grows while a load runs."""
    gc.collect()
    before = measure()
    load.run()
    gc.collect()
    after = measure()
    return None if before is None or after is None else after - before


def measured(channels: int, bound: int) -> dict[str, object]:
    """The load twice: as it is, and traced."""
    Load(100, MEBIBYTE).run()  # imports, and what Python sets up once
    resident_load = Load(channels, bound)
    resident = growth(resident_load, resident_bytes)
    del resident_load
    tracemalloc.start()
    load = Load(channels, bound)
    traced = growth(load, traced_bytes)
    tracemalloc.stop()
    held = load.services.bytes_held
    return {
        "channels": channels,
        "bound": bound,
        "read_bytes": load.read_bytes,
        "most_held": load.most,
        "held": held,
        "values": len(load.services.memory),
        "traced": traced,
        "traced_to_held": round((traced or 0) / held, 3),
        "resident": resident,
        "resident_to_bound": None if resident is None else round(resident / bound, 3),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, and says whether the targets were met."""
    options = command.parser("whether the memory tier keeps to its bound").parse_args(arguments)
    channels, bound = (500, MEBIBYTE) if options.tiny else (10_000, 32 * MEBIBYTE)
    if not options.json:
        print(f"{channels} channels in {bound / MEBIBYTE:g} MB …", flush=True)
    results = measured(channels, bound)
    traced, most, resident, ratio = (
        results[name] for name in ("traced", "most_held", "resident", "traced_to_held")
    )
    assert isinstance(traced, int)
    assert isinstance(most, int)
    targets = {
        "what it counts never exceeds the bound": most <= bound,
        "what Python allocated for it exceeds the bound by 5 % at most": traced <= 1.05 * bound,
        "what it counts is what was allocated, within 15 %": abs(float(str(ratio)) - 1) <= TOLERANCE,
    }
    if isinstance(resident, int) and not options.tiny:
        targets["the process grew by the bound and a third at most"] = resident <= bound * 4 / 3
    names = max(len(name) for name in results)
    text = "\n".join(f"{name:<{names}}  {value}" for name, value in results.items())
    return command.finish(options, {"bench": "memory", **results}, targets, text)


if __name__ == "__main__":
    sys.exit(main())
