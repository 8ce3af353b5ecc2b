"""The whole verdict on a system that was under load: the oracle's, the ledger's, the mails', and what still moves."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ocop import oracle
from ocop.rules.evidence import Named
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
) -> list[str]:
    """Findings as people read them, the first with its event's whole way.

    `cuts` is how often a mail may have been sent without being marked; `refused` must be nowhere, besides what the
    ledger says of that; what names something `thrown` in is no finding.
    """
    unsettled = await oracle.wait_until_quiet(bootstrap, urls, QUIET_S)
    unsettled += await mails.wait_until_sent(urls["notifications"], QUIET_S)
    findings = await oracle.find(bootstrap, urls, verdict.refused(entries) | set(refused))
    findings += await verdict.compare(bootstrap, urls["gateway"], entries)
    findings += await verdict.reachable(gateway, keys, entries, seed)
    findings += await mails.compare(mailbox, urls["notifications"], cuts)
    findings = [finding for finding in findings if not any(name in str(finding) for name in thrown)]
    told = await oracle.told(bootstrap, urls, findings)
    return [*told, *(f"not quiet after {QUIET_S} s: {line}" for line in unsettled)]
