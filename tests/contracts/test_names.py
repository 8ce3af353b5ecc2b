"""Ids are for ever: these constants must never change."""

from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
from pydantic import ValidationError

from contracts.names import NAMES, Key, Ref, aggregate_id, event_id, namespaces_of

MACADAMIA = Ref(namespace="2004-67", ref="SP-0003")


def test_ids_derive_from_a_fixed_namespace() -> None:
    assert uuid5(NAMESPACE_URL, "urn:ocop:names") == NAMES
    assert aggregate_id("product", MACADAMIA) == UUID("a160c50d-8d64-5c72-a5a4-c5599efbdce1")


def test_kinds_and_namespaces_keep_refs_apart() -> None:
    other = Ref(namespace="2025-68", ref="SP-0003")
    lower = Ref(namespace="2004-67", ref="sp-0003")
    ids = {aggregate_id(kind, ref) for kind in ("owner", "product") for ref in (MACADAMIA, other, lower)}
    assert len(ids) == 6


def test_event_ids_differ_by_service_and_index() -> None:
    cause = UUID("019873d0-3c4e-7a10-9b51-5f0c6a1de202")
    assert event_id(cause, "registry", 0) == uuid5(cause, "registry/0")
    assert len({event_id(cause, s, i) for s in ("registry", "evaluation") for i in (0, 1, "outcome/1")}) == 6


def test_a_key_carries_the_ref_and_its_id() -> None:
    key = Key.of("product", MACADAMIA)
    assert (key.id, key.namespace, key.ref) == (aggregate_id("product", MACADAMIA), "2004-67", "SP-0003")


def test_a_ref_is_written_with_its_namespace() -> None:
    assert str(MACADAMIA) == "2004-67/SP-0003"


@pytest.mark.parametrize(
    ("tenant", "namespaces"),
    [
        ("2025-80", {"2025-80", "2004-80", "2004-72"}),
        ("2025-68", {"2025-68", "2004-68", "2004-67", "2004-60"}),
        ("2025-01", {"2025-01", "2004-01"}),
    ],
)
def test_a_tenant_owns_its_namespace_and_its_forerunners(tenant: str, namespaces: set[str]) -> None:
    assert namespaces_of(tenant) == namespaces


@pytest.mark.parametrize("tenant", ["2004-80", "2025-72", "2025-99", "2025", "", "2025-80-1"])
def test_nobody_else_is_a_tenant(tenant: str) -> None:
    with pytest.raises(ValueError, match="not a province"):
        namespaces_of(tenant)


@pytest.mark.parametrize(
    ("namespace", "ref"),
    [
        ("2004-67", ""),
        ("2004-67", "SP 3"),
        ("2004-67", "SP/3"),
        ("2004-67", "SP-0003\n"),
        ("2004-67", "S" * 65),
        ("2004-67", "SP-Đ"),
        ("2004-67", "096000000000"),  # a personal number begins with a province's code, 001 to 096
        ("2004-67", "0900000000"),
        ("2024-67", "SP-3"),
        ("2004-6", "SP-3"),
        ("2004-٦٧", "SP-3"),
        (" 2004-67", "SP-3"),
    ],
)
def test_what_is_not_a_ref(namespace: str, ref: str) -> None:
    with pytest.raises(ValidationError):
        Ref(namespace=namespace, ref=ref)


@pytest.mark.parametrize("ref", ["0", "000000000412", "202608050001", "a.B_c-9", "0000000412", "S" * 64])
def test_what_is_a_ref(ref: str) -> None:
    assert Ref(namespace="2025-68", ref=ref).ref == ref
