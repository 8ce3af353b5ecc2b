"""From a request's pieces to answers, in one transaction."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from uuid_utils.compat import uuid7

from contracts.problems import Problem
from gateway import store
from gateway.domain import Candidate, Holder, examine
from gateway.request import Piece
from gateway.store import Kept
from servicekit import database
from servicekit.database import Connection, Pool
from servicekit.failpoint import failpoint
from servicekit.http import MOST_PROBLEMS
from servicekit.tracing import Request

AT_A_TIME: Final = 3  # events of a batch before others have their turn: each may be wrong in a hundred places

Examined = Candidate | tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one event: accepted, duplicate, conflict or refused (then its id is not used up)."""

    status: str
    id: str | None = None
    source: str | None = None
    submission_id: UUID | None = None
    subject: str | None = None
    subject_id: UUID | None = None
    state: str | None = None
    problems: tuple[Problem, ...] = ()

    def body(self, index: int) -> dict[str, Any]:
        """As it stands in the response."""
        return {
            "index": index,
            "id": self.id,
            "source": self.source,
            "status": self.status,
            "submission_id": str(self.submission_id) if self.submission_id else None,
            "subject": self.subject,
            "subject_id": str(self.subject_id) if self.subject_id else None,
            "state": self.state,
            "errors": [problem.answer() for problem in self.problems[:MOST_PROBLEMS]],
        }


class _DryRunEnd(Exception):  # noqa: N818  # it is no error
    """Takes the transaction back."""


async def take(
    pool: Pool,
    holder: Holder,
    pieces: Sequence[Piece],
    *,
    repeat_after_s: int,
    trace: Request | None = None,
    dry_run: bool = False,
) -> list[Answer]:
    """Takes what may be taken and answers each piece, in order. Committed when it returns; a dry run is taken back, and
    gives no submission's id that there is none of.

    Raises what the database raises: then nothing was taken, or the answer to the same request will be `duplicate`.
    """
    answers: list[Answer] = []
    examined = await _examined(holder, pieces)
    try:
        async with database.transaction(pool) as connection:
            now = await store.enter(connection, holder.tenant, holder.namespaces)
            answers = await _answers(connection, holder, pieces, examined, now, repeat_after_s, trace)
            if dry_run:
                made = {each.submission_id for each in answers if each.status == "accepted"}
                answers = [replace(a, submission_id=None) if a.submission_id in made else a for a in answers]
                raise _DryRunEnd
    except _DryRunEnd:
        pass
    failpoint("request-committed")
    return answers


async def _examined(holder: Holder, pieces: Sequence[Piece]) -> list[Examined]:
    """What each piece is, by itself; a long batch keeps nobody from being answered meanwhile."""
    now = datetime.now(UTC)
    examined: list[Examined] = []
    for place, piece in enumerate(pieces, 1):
        examined.append((piece.problem,) if piece.problem else examine(piece.raw, piece.value, holder, now))
        if place % AT_A_TIME == 0:
            await asyncio.sleep(0)
    return examined


async def _answers(
    connection: Connection,
    holder: Holder,
    pieces: Sequence[Piece],
    examined: Sequence[Examined],
    now: datetime,
    repeat_after_s: int,
    trace: Request | None,
) -> list[Answer]:
    examined = await _aim(connection, holder, examined)
    if trace is not None and trace.on:
        examined = [_traced(found, trace) for found in examined]
    first: dict[tuple[str, str], UUID] = {}
    candidates: dict[UUID, Candidate] = {}
    for found in examined:
        if isinstance(found, Candidate) and found.event not in first:
            first[found.event] = submission_id = uuid7()
            candidates[submission_id] = found
    new: dict[tuple[str, str], Kept] = {}
    if candidates:
        new = await store.take(connection, holder.tenant, now, candidates, repeat_after_s)
    kept = new | await store.kept(connection, first.keys() - new.keys())
    answers, answered = [], set()
    for piece, found in zip(pieces, examined, strict=True):
        if not isinstance(found, Candidate):
            answers.append(_refused(piece, found))
            continue
        is_new = found.event in new and found.event not in answered
        answered.add(found.event)
        answers.append(_answer(found, kept[found.event], is_new=is_new))
    return answers


def _traced(found: Examined, trace: Request) -> Examined:
    return replace(found, traceparent=trace.event(found.traceparent)) if isinstance(found, Candidate) else found


async def _aim(connection: Connection, holder: Holder, examined: Sequence[Examined]) -> list[Examined]:
    """Gives each withdrawal its target's service, subject and key; one without a target is refused."""
    targets = [(c.source, c.withdraws) for c in examined if isinstance(c, Candidate) and c.withdraws]
    kept = await store.kept(connection, targets) if targets else {}
    earlier: dict[tuple[str, str], Candidate] = {}
    aimed: list[Examined] = []
    for found in examined:
        if isinstance(found, Candidate) and found.withdraws:
            target = kept.get((found.source, found.withdraws)) or earlier.get((found.source, found.withdraws))
            found = _aimed(found, target, holder)
        if isinstance(found, Candidate):
            earlier.setdefault(found.event, found)
        aimed.append(found)
    return aimed


def _aimed(found: Candidate, target: Kept | Candidate | None, holder: Holder) -> Examined:
    if target is None:
        return (Problem("target-not-found", "/data/event_id", {"event_id": found.withdraws}),)
    ref = target.subject_ref if isinstance(target, Kept) else target.ref
    namespace = ref.partition("/")[0]
    if namespace not in holder.namespaces:
        allowed = ", ".join(sorted(holder.namespaces))
        return (Problem("forbidden", "/data/event_id", {"what": namespace, "allowed": allowed}),)
    if found.ref and found.ref != ref:
        return (Problem("subject-mismatch", "/subject", {"expected": ref}),)
    return replace(found, service=target.service, subject=target.subject, ref=ref)


def _refused(piece: Piece, problems: tuple[Problem, ...]) -> Answer:
    def text(name: str) -> str | None:
        value = piece.value.get(name)
        return value[:200] if isinstance(value, str) else None

    return Answer("refused", id=text("id"), source=text("source"), subject=text("subject"), problems=problems)


def _answer(found: Candidate, kept: Kept, *, is_new: bool) -> Answer:
    status = "accepted" if is_new else "duplicate"
    problems: tuple[Problem, ...] = ()
    if kept.digest != found.digest:
        status, problems = "conflict", (Problem("conflict", "/id", {"id": found.id}),)
    return Answer(
        status,
        id=found.id,
        source=found.source,
        submission_id=kept.id,
        subject=kept.subject_ref,
        subject_id=kept.subject,
        state=kept.state,
        problems=problems,
    )
