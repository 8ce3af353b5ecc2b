"""What the marketplace knows of products: that they exist, and whose they are."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from servicekit.projector import Event, Projection, Table


def rows(event: Event) -> Mapping[str, Sequence[tuple[Any, ...]]]:
    """The product's row, the same after each of its events."""
    return {"known_product": [(event.subject, event.envelope.tenant)]}


# A product's first event wakes the listings that wait for it.
PRODUCTS: Final = Projection("ocop.registry.product", (Table("known_product", ("id", "tenant")),), rows, wakes=True)
