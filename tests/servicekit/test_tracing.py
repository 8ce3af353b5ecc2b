"""Which traces are kept, and what an event hands on."""

from itertools import product

import pytest

from servicekit.tracing import Tracing, _kept

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def tracing(monkeypatch: pytest.MonkeyPatch) -> Tracing:
    """That sends to where nobody listens; nothing here is sent."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    return Tracing()


def test_without_a_place_to_send_to_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    tracing = Tracing()
    tracing.configure("gateway", 1)
    with tracing.request(GIVEN) as request:
        assert not request.on
        assert [request.event(own) for own in (GIVEN, None, "none")] == [GIVEN, None, "none"]


@pytest.mark.parametrize("own", [None, GIVEN, "none", GIVEN.replace("4bf9", "0000")])
@pytest.mark.parametrize("came", [None, GIVEN, f"00-{'0' * 32}-{'0' * 16}-01"])
def test_nothing_is_kept_though_the_sender_asks(tracing: Tracing, own: str | None, came: str | None) -> None:
    tracing.configure("gateway", 0)
    with tracing.request(came) as request:
        handed = request.event(own)
    assert handed is not None
    assert _kept(handed) is None
    assert handed.endswith("-00")
    if own == GIVEN:
        assert handed.split("-")[1] == GIVEN.split("-")[1], "the trace is the sender's all the same"


def test_what_the_gateway_keeps_all_keep(tracing: Tracing) -> None:
    """Whatever flags a sender sets beside the lowest: the SDK sets one for what it begins itself."""
    tracing.configure("gateway", 1)
    senders = [None, *(GIVEN[:-2] + flags for flags in ("00", "01", "02", "03"))]
    for own, came in product(senders, senders):
        with tracing.request(came) as request:
            handed = request.event(own)
        assert handed is not None
        place = _kept(handed)
        assert place is not None, handed
        assert f"{place.trace_id:032x}-{place.span_id:016x}" == handed[3:52]
    tracing._bound = 0
    tracing.end()


def test_the_share_is_of_traces_not_of_events(tracing: Tracing) -> None:
    """Each service and each event of a trace says the same."""
    tracing.configure("gateway", 0.5)
    for number in range(64):
        own = f"00-{number * 2**58 + 1:032x}-00f067aa0ba902b7-00"
        with tracing.request(None) as first, tracing.request(None) as second:
            kept = {str(request.event(own))[-2:] for request in (first, second)}
        assert kept == {"01" if number < 32 else "00"}
    tracing._bound = 0
    tracing.end()
