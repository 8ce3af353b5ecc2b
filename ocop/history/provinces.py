"""Histories that give what five provinces of 2004 published: their counts, and nothing that they did not say.

Each is one report at the source's own date. Acts have no number, and a year or month rather than a day; a few
have the first and the last day that the figures allow, because limits are where counting goes wrong.
"""

from ocop.history.events import Event, Reporter, listed, recognised, renewed
from ocop.history.invented import dealt, owners, product, product_ref


def dong_thap() -> list[Event]:
    """Đồng Tháp (2004: 87) at the end of 2023: 453 products of 175 owners, 370 of them sold online.

    453 = 139 first recognised in 2023 + 56 renewed in 2023 + 258 older ones. Stars were not published.
    """
    reporter = Reporter("2025-82", "2004-87", "2023-12-31T00:00:00+07:00")
    first, renewals, older = range(1, 140), range(140, 196), range(196, 454)
    numbers = range(1, 454)
    events = owners(reporter, "Đồng Tháp", ["cooperative"] * 12 + ["cooperative_group"] + [None] * 162)
    # 21 products belong to the 13 cooperatives and groups, 432 to the 162 owners whose kind is not known.
    events += [
        product(reporter, "Đồng Tháp", n, dealt(n, 1, 13) if n <= 21 else dealt(n - 21, 14, 162)) for n in numbers
    ]
    for n in first:
        events.append(_recognised(reporter, n, "2023", occasion="first"))
    for n in renewals:
        # Half of them with the act of about 2020 that they renew; of the other half nobody named one.
        previous = "2020-1" if n % 2 else None
        if previous:
            events.append(_recognised(reporter, n, "2020"))
        event_id = f"2004-87-{product_ref(n)}-2023-1"
        events.append(renewed(reporter, event_id, product_ref(n), "2023-1", issued_on="2023", previous_ref=previous))
    for n in older:
        # 31/12/2020 + 36 months is the very day of the figures, and still valid on it.
        events.append(_recognised(reporter, n, "2020-12-31" if n == older[0] else ("2021", "2022")[n % 2]))
    # The platforms and days were not published; an unknown day is bounded by the report's own date.
    events += [listed(reporter, f"NY-{n:03d}", product_ref(n), platform="unspecified") for n in range(1, 371)]
    return events


def long_an() -> list[Event]:
    """Long An (2004: 80) at the end of 2024: 235 products of 108 owners.

    87 acts of 2024 (9 of 4 stars, 78 of 3) under Decision 148/QĐ-TTg and 148 older ones (40 and 108).
    """
    reporter = Reporter("2025-80", "2004-80", "2024-12-31T00:00:00+07:00")
    groups = ["food"] * 182 + ["drink"] * 30 + ["medicinal"] * 8 + ["craft"] * 11 + ["ornamental"] * 4
    kinds = ["enterprise"] * 24 + ["cooperative"] * 15 + ["household_or_establishment"] * 69
    events = owners(reporter, "Long An", kinds)
    events += [product(reporter, "Long An", n, dealt(n, 1, 108)) for n in range(1, 236)]
    for n in range(1, 236):
        # Stars by group were not published: 7 and 235 have no common divisor, so this only mixes the two.
        group = groups[7 * n % 235]
        if n <= 87:
            stars = 4 if n <= 9 else 3
            events.append(_recognised(reporter, n, "2024", stars=stars, group=group, regime="148-2023"))
        else:
            stars = 4 if n <= 127 else 3
            # 01/7/2022 + 36 months is 01/7/2025, the first day on which code 80 means Tây Ninh.
            issued = "2022-07-01" if n == 88 else ("2022-12", "2023")[n % 2]
            events.append(_recognised(reporter, n, issued, stars=stars, group=group))
    return events


def tay_ninh() -> list[Event]:
    """Tây Ninh (2004: 72) on 14/3/2025: 139 products, 1 of 5 stars, 42 of 4, 96 of 3; nothing about owners.

    The contract wants an owner for each product: 70 invented ones of unknown kind, which is not a figure.
    """
    reporter = Reporter("2025-80", "2004-72", "2025-03-14T00:00:00+07:00")
    events = owners(reporter, "Tây Ninh", [None] * 70)
    events += [product(reporter, "Tây Ninh", n, dealt(n, 1, 70)) for n in range(1, 140)]
    for n in range(1, 140):
        issued = {1: "2022-07-01", 2: "2025-03-14"}.get(n, ("2022-12", "2023", "2024")[n % 3])
        events.append(_recognised(reporter, n, issued, stars=5 if n == 1 else 4 if n <= 43 else 3))
    return events


def soc_trang() -> list[Event]:
    """Sóc Trăng (2004: 94), from an undated source: 189 products of 120 owners, 18 of them of no stated kind.

    No day of issue is known: every certificate is possible from the start of the programme, certain never.
    """
    reporter = Reporter("2025-92", "2004-94", "2025-06-30T00:00:00+07:00")
    kinds = ["enterprise"] * 20 + ["cooperative"] * 20 + ["household"] * 62 + [None] * 18
    events = owners(reporter, "Sóc Trăng", kinds)
    events += [product(reporter, "Sóc Trăng", n, dealt(n, 1, 120)) for n in range(1, 190)]
    for n in range(1, 190):
        events.append(_recognised(reporter, n, None, stars=5 if n == 1 else 4 if n <= 20 else 3))
    return events


def thai_binh() -> list[Event]:
    """Thái Bình (2004: 34) in November 2023: 138 products (48 of 4 stars, 90 of 3) of 91 owners.

    Product 1 is real: mắm cáy Hồng Tiến, 4 stars, recognised in 2020. Three years on it may have lapsed or
    not: the one uncertain product. Its owner is not in the source, and invented like the others.
    """
    reporter = Reporter("2025-33", "2004-34", "2023-11-30T00:00:00+07:00")
    events = owners(reporter, "Thái Bình", ["enterprise"] * 32 + ["cooperative"] * 36 + ["household"] * 23)
    events += [
        product(reporter, "Thái Bình", n, dealt(n, 1, 91), "Mắm cáy Hồng Tiến" if n == 1 else None)
        for n in range(1, 139)
    ]
    events.append(_recognised(reporter, 1, "2020", stars=4, attested_from="press"))
    for n in range(2, 139):
        # The first and the last act that leave the same figure on every day of that November.
        issued = {2: "2020-11-30", 3: "2023-11-01"}.get(n, ("2021", "2022")[n % 2])
        events.append(_recognised(reporter, n, issued, stars=4 if n <= 48 else 3))
    return events


def _recognised(reporter: Reporter, number: int, issued_on: str | None, **fields: object) -> Event:
    # "2023-1": the first act about this product in that year; "1" where the year is not known.
    ref = f"{issued_on[:4]}-1" if issued_on else "1"
    product = product_ref(number)
    event_id = f"{reporter.namespace}-{product}-{ref}"
    return recognised(reporter, event_id, product, ref, issued_on=issued_on, **fields)
