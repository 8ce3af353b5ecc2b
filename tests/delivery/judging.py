"""The whole verdict on a system that was under load: the oracle's, the ledger's, the mails', and what still moves."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ocop import oracle
from ocop.rules.evidence import Finding, Named
from tests.delivery import mails, verdict
from tests.delivery.ledger import Entry

QUIET_S = 180


async def judge(
    bootstrap: str,
    urls: Mapping[str, str],
    gateway: str,
    keys: Mapping[str, str],
    entries: Sequence[Entry],
    seed: int,
    mailbox: Path,
    cuts: int,
    refused: Collection[Named] = (),
    thrown: Collection[str] = (),
    excused: Mapping[str, Collection[Named]] | None = None,
) -> list[str]:
    """Findings as people read them, the first with its event's whole way.

    `cuts` is how often a mail may have been sent without being marked; `refused` must be nowhere, besides what the
    ledger says of that; what names something `thrown` in is no finding, nor what says an `excused` text of one of its
    events.
    """
    unsettled = await oracle.wait_until_quiet(bootstrap, urls, QUIET_S)
    unsettled += await mails.wait_until_sent(urls["notifications"], QUIET_S)
    findings = await oracle.find(bootstrap, urls, verdict.refused(entries) | set(refused))
    findings += await verdict.compare(bootstrap, urls, entries)
    findings += await verdict.reachable(gateway, keys, entries, seed)
    findings += await mails.compare(mailbox, urls["notifications"], cuts)
    findings = [finding for finding in findings if not (names(finding, thrown) or excuses(finding, excused or {}))]
    told = await oracle.told(bootstrap, urls, findings)
    return [*told, *(f"not quiet after {QUIET_S} s: {line}" for line in unsettled)]


def names(finding: Finding, thrown: Collection[str]) -> bool:
    """Whether a finding names something that was thrown in: a place, whole, not the beginning of another one."""
    text = str(finding)  # looked through for thousands of names: a pattern only for those that are in it
    return any(name in text and re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text) for name in thrown)


def excuses(finding: Finding, excused: Mapping[str, Collection[Named]]) -> bool:
    """Whether a finding says of an event what may be said of it."""
    return any(text in finding.text and finding.who in events for text, events in excused.items())
