"""Lists and search: newest first, cursors that meet, windows, expansion, and answers that lag."""

from collections.abc import Callable

import pytest
import stripe

from deploy.local.stripe.control import EmulatorControl

Pay = Callable[..., stripe.PaymentIntent]


def test_auto_paging_sees_everything_once_newest_first(client: stripe.StripeClient, pay: Pay) -> None:
    made = [pay().id for _ in range(7)]
    page = client.v1.payment_intents.list(params={"limit": 3})
    assert (page.has_more, page.url) == (True, "/v1/payment_intents")
    assert [intent.id for intent in page.auto_paging_iter()] == made[::-1]


def test_cursors_go_both_ways(client: stripe.StripeClient, pay: Pay) -> None:
    oldest, middle, newest = (pay().id for _ in range(3))
    older = client.v1.payment_intents.list(params={"starting_after": middle})
    newer = client.v1.payment_intents.list(params={"ending_before": oldest, "limit": 1})
    assert ([intent.id for intent in older.data], older.has_more) == ([oldest], False)
    assert ([intent.id for intent in newer.data], newer.has_more) == ([middle], True)
    assert newest not in {intent.id for intent in older.data}


def test_a_created_window_bounds_the_list(client: stripe.StripeClient, pay: Pay, control: EmulatorControl) -> None:
    control.set_clock(1_800_000_000)
    pay()
    control.advance_clock(100)
    late = pay()
    window = {"created": {"gt": 1_800_000_000, "lte": 1_800_000_100}}
    assert [intent.id for intent in client.v1.payment_intents.list(params=window).data] == [late.id]


def test_a_customer_filters_intents_and_charges(client: stripe.StripeClient, pay: Pay) -> None:
    customer = client.v1.customers.create(params={"name": "Buyer"})
    pay()
    mine = pay(customer=customer.id)
    assert [intent.id for intent in client.v1.payment_intents.list(params={"customer": customer.id}).data] == [mine.id]
    assert [c.payment_intent for c in client.v1.charges.list(params={"customer": customer.id}).data] == [mine.id]


@pytest.mark.parametrize("limit", [0, 101])
def test_a_page_has_1_to_100_rows(client: stripe.StripeClient, limit: int) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.charges.list(params={"limit": limit})


def test_expansion_goes_four_levels_deep_also_in_lists(client: stripe.StripeClient, pay: Pay) -> None:
    pay(capture_method="automatic")
    listed = client.v1.payment_intents.list(
        params={"expand": ["data.latest_charge.balance_transaction", "data.payment_method"]}
    )
    assert listed.data[0].latest_charge.balance_transaction.net == 941
    assert listed.data[0].payment_method.card.last4 == "4242"


def test_expanding_what_is_null_changes_nothing(pay: Pay) -> None:
    assert pay(expand=["latest_charge.application_fee"]).latest_charge.application_fee is None


@pytest.mark.parametrize("path", ["amount", "nothing", "latest_charge.payment_intent.latest_charge.customer.x"])
def test_what_cannot_be_expanded_is_refused(pay: Pay, path: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        pay(expand=[path])
    assert refusal.value.param == "expand"


def test_search_lags_behind_writes(client: stripe.StripeClient, pay: Pay, control: EmulatorControl) -> None:
    control.set_clock(1_800_000_000)
    intent = pay(confirm=False, metadata={"order": "o-1"})
    query = {"query": "metadata['order']:'o-1'"}
    assert client.v1.payment_intents.search(params=query).data == []
    control.advance_clock(60)
    assert [found.id for found in client.v1.payment_intents.search(params=query).data] == [intent.id]
    client.v1.payment_intents.confirm(intent.id)
    assert client.v1.payment_intents.search(params=query).data[0].status == "requires_confirmation"
    control.advance_clock(60)
    assert client.v1.payment_intents.search(params=query).data[0].status == "succeeded"


def test_search_joins_clauses_and_pages(client: stripe.StripeClient, pay: Pay, control: EmulatorControl) -> None:
    for number in range(3):
        pay(metadata={"event": "show", "seat": str(number)})
    pay(metadata={"event": "show"}, confirm=False)
    control.advance_clock(61)
    query = {"query": "status:'succeeded' AND metadata['event']:'show'", "limit": 2}
    found = list(client.v1.payment_intents.search(params=query).auto_paging_iter())
    assert [intent.metadata["seat"] for intent in found] == ["2", "1", "0"]


def test_a_search_clause_that_is_not_served_is_refused(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.APIError) as refusal:
        client.v1.payment_intents.search(params={"query": "amount>1000"})
    assert refusal.value.http_status == 501
