"""The services of a history: gateway, registry and evaluation as they are, and a reader that keeps every event.

Deciders and rows may have a bug: while `Bugs.on`, they raise for the submissions and subjects named.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

import evaluation.__main__ as evaluation
import registry.__main__ as registry
from evaluation.projections import PRODUCTS
from gateway import outcomes

from contracts.decision import Decision, Rejected, Submission, Waits
from contracts.topics import TOPICS
from servicekit.decider import Decider, Deciders
from servicekit.handler import Handler
from servicekit.listener import Listener
from servicekit.projector import Event, Projection, Projectors, Table

TENANTS: Final = ("2025-68", "2025-80")
DOMAIN: Final = ("ocop.registry.owner", "ocop.registry.product", "ocop.evaluation.recognition")
DECIDING: Final = {"registry": registry.DECIDERS, "evaluation": (evaluation.RECOGNITIONS,)}
SERVICES: Final = ("gateway", "registry", "evaluation", "national")
SENDING: Final = ("gateway", "registry", "evaluation")

# No key: what is done twice must show.
TABLES: Final = """
    CREATE TABLE sim_owner (subject uuid, sequence bigint);
    CREATE TABLE sim_product (subject uuid, sequence bigint);
    CREATE TABLE sim_recognition (subject uuid, sequence bigint);
    CREATE TABLE sim_event (id uuid, topic text, subject uuid, sequence bigint);
    GRANT ALL ON sim_owner, sim_product, sim_recognition, sim_event TO ocop_app"""


@dataclass(slots=True)
class Bugs:
    """What the code cannot handle, until it is mended."""

    on: bool = False
    events: set[str] = field(default_factory=set)  # ids of submissions
    subjects: set[UUID] = field(default_factory=set)  # of domain events, in the reader

    def clear(self) -> None:
        """Another history."""
        self.on = False
        self.events.clear()
        self.subjects.clear()


def handlers(service: str, bugs: Bugs) -> Sequence[Handler]:
    """What a service reads."""
    if service == "gateway":
        return [Listener(outcomes.TOPICS, outcomes.hear)]
    if service == "national":
        return [Projectors([_reader(topic, bugs) for topic in DOMAIN])]
    deciders = Deciders(service, [replace(each, decide=_buggy(each, bugs)) for each in DECIDING[service]])
    return [Projectors([PRODUCTS]), deciders] if service == "evaluation" else [deciders]


def _buggy(decider: Decider, bugs: Bugs) -> Callable[[Any, Submission, Mapping[UUID, str]], Any]:
    def decide(state: Any, submission: Submission, known: Mapping[UUID, str]) -> Decision | Rejected | Waits:
        if bugs.on and submission.event_id in bugs.events:
            raise RuntimeError("a bug in decide")
        return decider.decide(state, submission, known)

    return decide


def _reader(topic: str, bugs: Bugs) -> Projection:
    state = Table(f"sim_{TOPICS[topic].aggregate}", ("subject", "sequence"))
    events = Table("sim_event", ("id", "topic", "subject", "sequence"), per="event")

    def rows(event: Event) -> Mapping[str, Sequence[tuple[Any, ...]]]:
        if bugs.on and event.subject in bugs.subjects:
            raise RuntimeError("a bug in rows")
        number = event.envelope.subjectsequence
        return {
            state.name: [(event.subject, number)],
            events.name: [(UUID(event.envelope.id), topic, event.subject, number)],
        }

    return Projection(topic, (state, events), rows)
