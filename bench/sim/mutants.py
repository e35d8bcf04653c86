"""The planted bugs by name. The simulator must find every one of them, or it would not find real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bench.sim import (
    planted,
    planted_bundles,
    planted_erasures,
    planted_gaps,
    planted_pages,
    planted_posts,
)
from bench.sim.containers import Code


@dataclass(frozen=True)
class Mutant:
    """A planted bug."""

    what: str
    code: Code


MUTANTS: Final[dict[str, Mutant]] = {
    "skip-vouching": Mutant(
        "serves by a head and a membership read up to 120 s ago", Code(store=planted.RemembersLooks)
    ),
    "vouch-after-serving": Mutant(
        "makes the page from what it remembers, then asks whether it may",
        Code(fetch=planted.fetch_then_vouch),
    ),
    "accept-behind": Mutant(
        "serves a cached page that does not reach the end", Code(reader=planted.AcceptsWhatIsBehind)
    ),
    "fill-later": Mutant(
        "caches a page under a later position than was read", Code(reader=planted.FillsFurtherThanItRead)
    ),
    "serve-past-hole": Mutant(
        "serves entries after a hole without settling it", Code(direct=planted.ServesPastHoles)
    ),
    "void-without-condition": Mutant(
        "settles a hole over whatever stands there", Code(store=planted.VoidsAnyway)
    ),
    "ignore-membership": Mutant("shows a channel to who is not in it", Code(store=planted.LetsAnybodyIn)),
    "void-blindly": Mutant(
        "does not look what stands where it wanted a void", Code(store=planted.VoidsBlindly)
    ),
    "commit-again": Mutant(
        "posts at a new position without asking who stands at the old", Code(post=planted.post_again)
    ),
    "receipt-apart": Mutant(
        "writes the receipt outside of the transaction", Code(store=planted.ReceiptApart)
    ),
    "batch-in-parts": Mutant("writes the entries of a batch one by one", Code(store=planted.CommitsInParts)),
    "replay-in-part": Mutant(
        "answers a repeated post with the messages that are seen yet", Code(post=planted_posts.replay_in_part)
    ),
    "acknowledge-in-part": Mutant(
        "acknowledges a batch of which only the first is seen", Code(post=planted_posts.acknowledge_in_part)
    ),
    "count-no-voids": Mutant("counts voids as messages", Code(store=planted_gaps.CountsNoVoids)),
    "count-found-voids": Mutant(
        "counts a void again that somebody else has written", Code(store=planted_gaps.CountsFoundVoids)
    ),
    "count-apart": Mutant(
        "counts voids in another step than it writes them", Code(store=planted_gaps.CountsApart)
    ),
    "list-unasked": Mutant(
        "shows messages in lists that never came to stand", Code(listing=planted_gaps.list_unasked)
    ),
    "empty-page": Mutant(
        "leaves a page empty though messages stand before it", Code(fetch=planted_gaps.as_wide_as_asked)
    ),
    "stale-for-ever": Mutant(
        "lets pages stand in beyond the freshness time", Code(vouched=planted.NeverTooOld)
    ),
    "stale-for-anybody": Mutant(
        "lets a page stand in for who was not vouched for", Code(vouched=planted.StandsInForOthers)
    ),
    "etag-of-the-end": Mutant(
        "names an open page as if it were complete", Code(fetch=planted.etag_of_the_end)
    ),
    "encoded-for-any-head": Mutant(
        "sends a page that was encoded before, whatever was posted since",
        Code(fetch=planted_pages.encoded_for_any_head),
    ),
    "list-from-memory": Mutant(
        "shows the list of channels of up to 300 s ago", Code(listing=planted.list_from_memory)
    ),
    "memory-unnumbered": Mutant(
        "serves from memory what was read before a redaction", Code(reader=planted_erasures.MemoryUnnumbered)
    ),
    "redis-unnumbered": Mutant(
        "serves from Redis what was read before a redaction", Code(reader=planted_erasures.RedisUnnumbered)
    ),
    "etag-unnumbered": Mutant(
        "answers 304 though a message was redacted", Code(fetch=planted_erasures.etag_unnumbered)
    ),
    "count-first": Mutant(
        "raises the number of redactions before it redacts", Code(eraser=planted_erasures.CountsFirst)
    ),
    "count-nothing": Mutant(
        "redacts without raising the number", Code(eraser=planted_erasures.CountsNothing)
    ),
    "redact-before-leaving": Mutant(
        "ends memberships after it has redacted", Code(eraser=planted_erasures.RedactsBeforeLeaving)
    ),
    "preview-stays": Mutant(
        "leaves the erased text in the list of channels", Code(eraser=planted_erasures.LeavesPreviews)
    ),
    "acknowledge-early": Mutant(
        "calls a user erased while pages from before may still stand in",
        Code(eraser=planted_erasures.AcknowledgesEarly),
    ),
    "carry-for-ever": Mutant(
        "writes to Redis whatever it ever learned", Code(tier=planted_bundles.CarriesForEver)
    ),
    "carrying-is-use": Mutant(
        "takes what it carries from bundle to bundle for used",
        Code(tier=planted_bundles.TakesCarryingForUse),
    ),
    "believe-times": Mutant(
        "believes that a value in Redis will be used in the future", Code(tier=planted_bundles.BelievesTimes)
    ),
}
