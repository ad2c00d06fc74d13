"""Connected accounts: made by API and by the control API, capabilities, and stores that do not see each other."""

from collections.abc import Callable

import pytest
import stripe

from deploy.local.stripe.control import ControlRefusedError, EmulatorControl

Pay = Callable[..., stripe.PaymentIntent]


def _told(client: stripe.StripeClient, account: str) -> list[str]:
    listed = client.v1.events.list(options={"stripe_account": account}).data[::-1]
    return [event.type for event in listed]


def test_an_account_is_made_and_found(client: stripe.StripeClient) -> None:
    wishes = {"transfers": {"requested": True}, "card_payments": {"requested": True}}
    made = client.v1.accounts.create(
        params={"type": "express", "country": "NO", "email": "hall@venue.example", "capabilities": wishes}
    )
    assert (made.default_currency, made.charges_enabled, made.payouts_enabled) == ("nok", True, True)
    assert client.v1.accounts.retrieve(made.id).to_dict() == made.to_dict()
    assert [account.id for account in client.v1.accounts.list().data] == [made.id]
    updated = client.v1.accounts.update(made.id, params={"metadata": {"tier": "gold"}, "email": "new@venue.example"})
    assert (updated.email, updated.metadata["tier"]) == ("new@venue.example", "gold")  # type: ignore[index]  # set
    assert _told(client, made.id) == ["account.updated", "account.updated"]


def test_the_platform_and_a_venue_each_see_themselves(client: stripe.StripeClient, venue: str) -> None:
    assert client.v1.accounts.retrieve_current().id == "acct_1EmulatorPlatform"
    assert client.v1.accounts.retrieve_current(options={"stripe_account": venue}).id == venue
    with pytest.raises(stripe.PermissionError) as foreign:
        client.v1.accounts.retrieve("acct_nobody")
    assert foreign.value.error.code == "account_invalid"  # type: ignore[union-attr]  # an error has a body


def test_nothing_is_done_inside_an_account_that_does_not_exist(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.PermissionError) as refusal:
        client.v1.balance.retrieve(options={"stripe_account": "acct_nobody"})
    assert refusal.value.http_status == 403


@pytest.mark.parametrize("status", ["active", "pending", "inactive"])
def test_a_capability_starts_as_the_metadata_says(client: stripe.StripeClient, status: str) -> None:
    made = client.v1.accounts.create(
        params={"capabilities": {"transfers": {"requested": True}}, "metadata": {"emulator_transfers": status}}
    )
    found = client.v1.accounts.capabilities.retrieve(made.id, "transfers")
    assert (found.status, found.requested, found.account) == (status, True, made.id)
    assert [one.id for one in client.v1.accounts.capabilities.list(made.id).data] == ["transfers"]


def test_a_capability_changes_and_says_so(client: stripe.StripeClient, control: EmulatorControl, venue: str) -> None:
    before = len(_told(client, venue))
    assert control.set_capability(venue, "transfers", "pending")["status"] == "pending"
    control.set_capability(venue, "transfers", "pending")
    assert client.v1.accounts.retrieve(venue).capabilities.transfers == "pending"  # type: ignore[union-attr]  # set
    assert _told(client, venue)[before:] == ["capability.updated", "account.updated"]
    (told,) = client.v1.events.list(
        params={"type": "capability.updated", "limit": 1}, options={"stripe_account": venue}
    ).data
    assert told.to_dict()["data"]["previous_attributes"] == {"status": "active"}
    with pytest.raises(ControlRefusedError, match="active, inactive, pending"):
        control.set_capability(venue, "transfers", "perhaps")


def test_a_capability_is_asked_for_and_given_up(client: stripe.StripeClient) -> None:
    made = client.v1.accounts.create()
    update = client.v1.accounts.capabilities.update
    assert client.v1.accounts.capabilities.retrieve(made.id, "transfers").status == "unrequested"
    assert update(made.id, "transfers", params={"requested": True}).status == "active"
    assert update(made.id, "transfers", params={"requested": False}).status == "unrequested"


def test_the_control_api_fills_and_empties_balances(
    client: stripe.StripeClient, control: EmulatorControl, pay: Pay, venue: str
) -> None:
    pay(account=venue, capture_method="automatic")
    control.adjust_balance(500, account=venue)
    assert client.v1.balance.retrieve(options={"stripe_account": venue}).available[0].amount == 500
    balance = control.empty_balance(venue)
    assert balance["available"][0]["amount"] + balance["pending"][0]["amount"] == 0
    control.adjust_balance(-300, account=venue)
    assert sum(row["net"] for row in control.summary()["balances"]) == -300
    assert control.summary()["ledger_errors"] == []
