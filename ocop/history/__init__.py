"""What the demo submits: what provinces would have reported about acts and figures that were published.

- `acts`: real acts of today's Lâm Đồng, as printed;
- `provinces`: generated histories that give the published counts of five provinces of 2004;
- `invented`: the owners and products that those need, which say in their names that they are invented;
- `figures`: the published figures, each with its source, that the national figures must equal;
- `events`: the CloudEvents themselves.

All constants: no clock, no chance, no I/O. Submitted twice, every event is a duplicate.
"""

from ocop.history.acts import lam_dong
from ocop.history.events import Event, History
from ocop.history.figures import Cell, Figure, Share, figures
from ocop.history.provinces import dong_thap, long_an, soc_trang, tay_ninh, thai_binh

__all__ = ["Cell", "Event", "Figure", "History", "Share", "figures", "histories"]


def histories() -> list[History]:
    """One history per tenant; an owner comes before its products, a product before what is said of it."""
    return [
        History("2025-68", "ocop", ("2025-68", "2004-67", "2004-60"), tuple(lam_dong())),
        History("2025-82", "ocop", ("2004-87",), tuple(dong_thap())),
        History("2025-80", "ocop", ("2004-80", "2004-72"), (*long_an(), *tay_ninh())),
        History("2025-92", "ocop", ("2004-94",), tuple(soc_trang())),
        History("2025-33", "ocop", ("2004-34",), tuple(thai_binh())),
    ]
