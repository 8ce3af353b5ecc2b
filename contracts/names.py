"""How things are called: refs that provinces choose, and the ids computed from them."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Annotated
from uuid import UUID, uuid5

from pydantic import BaseModel, Field

from contracts import provinces
from contracts.fields import EDGE, EVENT, Form, Identifier

# Fixed for ever: every id derives from it. It is uuid5(NAMESPACE_URL, "urn:ocop:names").
NAMES = UUID("31c56709-a7bf-5d51-b343-eff2700413a9")

Namespace = Annotated[
    str,
    Form(r"(2004|2025)-[0-9]{2}", "2025-68"),
    Field(description="Không gian tên: catalogue and code of the province that keeps the ref."),
]


class Ref(BaseModel):
    """How a province names what it knows first: permanent, case-sensitive, never a name or product code."""

    model_config = EDGE

    namespace: Namespace
    ref: Annotated[str, Identifier("SP-0003"), Field(description="Permanent, chosen by the province.")]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.ref}"


class Key(BaseModel):
    """A thing in a domain event: its id, and the ref that the id was computed from."""

    model_config = EVENT

    id: UUID
    namespace: str
    ref: str

    @classmethod
    def of(cls, kind: str, ref: Ref) -> Key:
        return cls(id=aggregate_id(kind, ref), namespace=ref.namespace, ref=ref.ref)


def aggregate_id(kind: str, ref: Ref) -> UUID:
    """The id of the `owner`, `product` or `listing` that a province calls `ref`."""
    return _aggregate_id(kind, ref.namespace, ref.ref)


@lru_cache(maxsize=4096)  # a submission's are asked for several times
def _aggregate_id(kind: str, namespace: str, ref: str) -> UUID:
    return uuid5(NAMES, f"{namespace}/{kind}/{ref}")


def event_id(cause: UUID, service: str, index: int | str) -> UUID:
    """The id of what `service` says because of `cause`: domain events by index, outcomes by "outcome/<n>"."""
    return uuid5(cause, f"{service}/{index}")


@cache
def namespaces_of(tenant: str) -> frozenset[str]:
    """The namespaces that a tenant ("2025-80") owns: its own and those of its forerunners of 2004.

    Raises ValueError if it is not a province of the catalogue of 2025.
    """
    catalogue, _, code = tenant.partition("-")
    if catalogue != "2025" or not provinces.exists(catalogue, code):
        raise ValueError(f"{tenant} is not a province of the catalogue of 2025")
    return frozenset({tenant, *(f"2004-{old}" for old in provinces.forerunners(code))})
