"""One payment is one trace, from the order event to its token, over all processes: read from a real OTLP receiver."""

from collections.abc import Iterator

import psycopg
import pytest

from db.minting import venue_settings
from db.minting.venue_settings import MintSettings
from deploy.local.stack.chain import anvil_binary
from deploy.local.stack.stack import Stack
from tests.journeys.collector import SETTINGS, Receiver, receiving, tree
from tests.journeys.fleet import Fleet
from tests.workers.minting.conftest import BUYER, NO_CHAIN, Chain

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ORDER_SPAN = TRACE[:16]  # of the order service itself
TOLD_TRACE = "5cf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def own_chain(request: pytest.FixtureRequest) -> Iterator[Chain | None]:
    """None on a machine without one: payments are traced there all the same."""
    if anvil_binary() is None:
        yield None
        return
    chain = Chain(request.getfixturevalue("anvil"))
    snapshot = chain.rpc("evm_snapshot")
    yield chain
    chain.rpc("anvil_dropAllTransactions")
    chain.rpc("evm_revert", snapshot)


@pytest.fixture(scope="module")
def traced(
    stack: Stack,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
    receiver: Receiver,
    own_chain: Chain | None,
) -> Iterator[Fleet]:
    """Its minter loses patience at once, so that a transaction that is not mined is replaced."""
    settings = SETTINGS | {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
    if own_chain:
        settings |= own_chain.server.environment()
        settings |= {"CHAIN_POLL_SECONDS": "0.1", "CHAIN_LEASE_SECONDS": "0.5", "CHAIN_STUCK_SECONDS": "0.4"}
    with Fleet.of(stack, template, tmp_path_factory.mktemp("fleet"), settings) as fleet:
        if own_chain:
            hall = fleet.tenants["Rhine Arena"]
            with psycopg.connect(fleet.owner_url, autocommit=True) as owner:
                venue_settings.write(owner, hall.tenant_id, [MintSettings(hall.venues[0].venue_id, "on")])
            fleet.start("minter")
        yield fleet


def test_one_payment_is_one_trace_over_all_processes(traced: Fleet, receiver: Receiver) -> None:
    wanted = {
        ("intake-orders", "accept order"),
        ("relay", "publish charges"),
        ("worker", "run charge"),
        ("worker", "stripe payment_intents"),
        ("relay", "publish payments"),  # the fact for other services
        ("intake-http", "receive event"),
    }
    traced.publish(traced.order("Harbour Live", trace_id=TRACE), traced.order("Harbour Live"))
    traced.wait_until_quiet()
    _until_seen(traced, receiver, TRACE, wanted)

    spans = {(span.process, span.name): span for span in receiver.of(TRACE)}
    accepted, charged = spans["intake-orders", "accept order"], spans["worker", "run charge"]
    assert accepted.parent_id == ORDER_SPAN
    assert spans["relay", "publish charges"].parent_id == accepted.span_id
    assert charged.parent_id == accepted.span_id
    asked = [span for span in receiver.of(TRACE) if span.name == "stripe payment_intents"]
    assert charged.span_id in {span.parent_id for span in asked}  # the webhook's own look is another
    assert charged.attributes["fleet.verdict"] == "done"
    assert [span.name for span in receiver.of(TRACE)].count("run charge") == 1
    assert len(receiver.spans) >= 2  # the other order has a trace of its own


def test_the_trace_goes_on_to_the_token_and_every_span_of_it_reaches_the_order(
    traced: Fleet, receiver: Receiver, own_chain: Chain | None
) -> None:
    if own_chain is None:
        pytest.skip(NO_CHAIN)
    traced.publish(traced.order(trace_id=TOLD_TRACE, wallet=BUYER))

    def seen(name: str) -> bool:
        return name in {span.name for span in receiver.of(TOLD_TRACE)}

    def told() -> bool:
        own_chain.mine()
        return "ticket.minted" in {kind for facts in traced.told().values() for kind in facts}

    traced.wait_until(lambda: seen("replace mint"), "nobody mines it, and a dearer one takes its place")
    traced.wait_until(told, "the token is told of", poll=0.1)
    traced.wait_until_quiet()
    _until_seen(
        traced,
        receiver,
        TOLD_TRACE,
        {
            ("intake-http", "receive event"),
            ("worker", "run mint"),
            ("minter", "wait for the minter"),
            ("minter", "send mint"),
            ("minter", "replace mint"),
            ("minter", "wait for a block"),
            ("minter", "confirm mint"),
        },
    )

    spans = {span.name: span for span in receiver.of(TOLD_TRACE)}
    asked, confirmed = spans["run mint"].span_id, spans["confirm mint"]

    def published_as_its_child() -> bool:
        seen = receiver.of(TOLD_TRACE)
        return confirmed.span_id in {s.parent_id for s in seen if (s.process, s.name) == ("relay", "publish payments")}

    # The minter's spans and the relay's are sent by two processes, each in a batch of its own, in any order.
    traced.wait_until(published_as_its_child, "what the confirmed mint tells is published as its child", timeout=20)
    traced.wait_until(
        lambda: len(tree(receiver.of(TOLD_TRACE), TOLD_TRACE[:16])) == len(receiver.of(TOLD_TRACE)),
        "every span reaches the order's",
        timeout=5,
    )
    assert {span.parent_id for span in receiver.of(TOLD_TRACE) if span.process == "minter"} == {asked}
    assert confirmed.began_ns >= spans["wait for a block"].began_ns > spans["run mint"].began_ns


def test_a_declined_card_fails_the_span_and_no_span_carries_what_must_not_leave(
    traced: Fleet, receiver: Receiver
) -> None:
    traced.publish(traced.order("Harbour Live", payment_method_id="pm_card_chargeDeclined"))
    traced.wait_until_quiet()
    traced.wait_until(
        lambda: any(span.error == "CardError" for spans in list(receiver.spans.values()) for span in spans),
        "the span of the refused request",
    )
    secrets = ("sk_test", "whsec", "pm_card", "card_", "buyer", "4242", "@", "eyJ")

    assert not [word for word in receiver.words() if any(secret in word for secret in secrets)]


def _until_seen(fleet: Fleet, receiver: Receiver, trace_id: str, wanted: set[tuple[str, str]]) -> None:
    def seen() -> bool:
        return wanted <= {(span.process, span.name) for span in receiver.of(trace_id)}

    fleet.wait_until(seen, f"spans {wanted} in one trace", timeout=20)
