"""Registering tenants: again and again, and what may change when it is done again."""

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from db.tenants.tenants import import_file
from messages.tenant_files import read_tenant


def listed(**venue: Any) -> dict[str, Any]:
    plan = {"name": "The Hall", "currency": "eur", "basis_points": 500, "fixed_minor": 50}
    return {"tenant_id": str(uuid4()), "name": "A Promoter", "venues": [{"venue_id": str(uuid4())} | plan | venue]}


def policies(owner: psycopg.Connection) -> list[tuple[str, str]]:
    return owner.execute("SELECT refund_fee_policy, early_fraud_policy FROM venues").fetchall()


def test_a_venue_without_policies_gets_the_fee_back_and_leaves_warnings_to_people(owner: psycopg.Connection) -> None:
    import_file(owner, read_tenant(listed()))

    assert policies(owner) == [("returned", "leave")]


def test_a_policy_that_the_file_names_is_changed_by_the_next_import_and_one_that_it_does_not_stays(
    owner: psycopg.Connection,
) -> None:
    file = listed(refund_fee_policy="kept", early_fraud_policy="refund")
    import_file(owner, read_tenant(file))
    before = policies(owner)

    file["venues"][0] |= {"refund_fee_policy": "returned", "early_fraud_policy": None, "basis_points": 100}
    import_file(owner, read_tenant(file))

    assert before == [("kept", "refund")]
    assert policies(owner) == [("returned", "refund")]
    assert owner.execute("SELECT basis_points FROM fee_plans").fetchall() == [(500,)]


def test_a_policy_that_is_none_is_refused(owner: psycopg.Connection) -> None:
    with pytest.raises(ValueError, match=r"refund_fee_policy: .*'returned' or 'kept'"):
        read_tenant(listed(refund_fee_policy="sometimes"))


VENUE, ARTIST, BAND = uuid4(), uuid4(), uuid4()


def selling(**more: Any) -> dict[str, Any]:
    """A tenant with a tier, a venue of it, and two who get royalties."""
    people = [
        {"recipient_id": str(who), "kind": "artist", "name": name, "currency": "eur"}
        for who, name in [(ARTIST, "The Singer"), (BAND, "The Band")]
    ]
    tier = {"currency": "eur", "basis_points": 300, "fixed_minor": 0, "minimum_minor": 100, "maximum_minor": 900}
    venue = {"venue_id": str(VENUE), "name": "The Hall", "currency": "eur", "tier": "arena", "escrow_days": 3}
    return {
        "tenant_id": str(uuid4()),
        "name": "A Promoter",
        "fee_tiers": {"arena": tier},
        "venues": [venue],
        "recipients": people,
    } | more


def royalty(who: UUID, points: int, **period: str) -> dict[str, Any]:
    return {"venue_id": str(VENUE), "sale": "primary", "recipient_id": str(who), "basis_points": points} | period


def test_a_venue_of_a_tier_is_priced_by_it_and_holds_shares_as_it_says(owner: psycopg.Connection) -> None:
    import_file(owner, read_tenant(selling()))

    row = owner.execute(
        "SELECT f.name, basis_points, minimum_minor, maximum_minor, escrow_days "
        "FROM venues JOIN fee_plans f USING (tenant_id, fee_plan_id)"
    ).fetchone()
    assert row == ("arena", 300, 100, 900, 3)


def test_the_same_file_may_be_imported_again_and_changes_what_may_change(owner: psycopg.Connection) -> None:
    file = selling(
        royalties=[royalty(ARTIST, 1000)], resale_rules=[{"venue_id": str(VENUE), "ceiling_basis_points": 12_000}]
    )
    import_file(owner, read_tenant(file))
    file["venues"][0]["escrow_days"] = None
    file["recipients"][0] |= {"account_id": "acct_1", "settlement": "weekly", "minimum_minor": 500}
    file["recipients"].append(
        {"recipient_id": str(VENUE), "kind": "venue", "name": "Hall Ltd", "currency": "eur", "account_id": "acct_2"}
    )

    import_file(owner, read_tenant(file))

    assert owner.execute("SELECT escrow_days FROM venues").fetchone() == (None,)
    people = owner.execute("SELECT name, account_id, settlement, minimum_minor FROM recipients ORDER BY name")
    assert people.fetchall() == [
        ("Hall Ltd", "acct_2", "immediate", 0),
        ("The Band", None, "immediate", 0),
        ("The Singer", "acct_1", "weekly", 500),
    ]
    assert owner.execute("SELECT basis_points FROM royalty_settings").fetchall() == [(1000,)]
    assert owner.execute("SELECT ceiling_basis_points FROM resale_rules").fetchall() == [(12_000,)]


def test_a_rate_changes_by_a_new_period_and_the_old_one_stays_history(owner: psycopg.Connection) -> None:
    file = selling(royalties=[royalty(ARTIST, 1000)])
    import_file(owner, read_tenant(file))
    file["royalties"] = [
        royalty(ARTIST, 1000, valid_until="2099-01-01T00:00:00Z"),
        royalty(ARTIST, 1200, valid_from="2099-01-01T00:00:00Z"),
    ]

    import_file(owner, read_tenant(file))

    rows = owner.execute("SELECT basis_points FROM royalty_settings ORDER BY valid_from").fetchall()
    assert rows == [(1000,), (1200,)]


@pytest.mark.parametrize(
    ("royalties", "said"),
    [
        ([royalty(ARTIST, 6000), royalty(BAND, 4001)], "add up to 10001 of 10000"),
        (
            [
                royalty(ARTIST, 6000, valid_until="2027-02-01T00:00:00Z"),
                royalty(BAND, 4001, valid_from="2027-01-01T00:00:00Z"),
            ],
            "add up to 10001 of 10000",
        ),
        (
            [royalty(ARTIST, 100), royalty(ARTIST, 200, valid_from="2027-01-01T00:00:00Z")],
            "two royalties of .* hold at the same time",
        ),
        ([royalty(uuid4(), 100)], "is not present in table"),
    ],
)
def test_royalties_that_cannot_be_are_refused_in_one_sentence_and_nothing_of_the_file_is_written(
    owner: psycopg.Connection, royalties: list[dict[str, Any]], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        import_file(owner, read_tenant(selling(royalties=royalties)))

    assert owner.execute("SELECT count(*) FROM tenants").fetchone() == (0,)


def test_a_rate_that_has_begun_is_not_changed(owner: psycopg.Connection) -> None:
    file = selling(royalties=[royalty(ARTIST, 1000)])
    import_file(owner, read_tenant(file))
    file["royalties"] = [royalty(ARTIST, 1200)]

    with pytest.raises(ValueError, match="has begun: end it"):
        import_file(owner, read_tenant(file))


def test_a_tier_keeps_its_price(owner: psycopg.Connection) -> None:
    file = selling()
    import_file(owner, read_tenant(file))
    file["fee_tiers"]["arena"]["basis_points"] = 400

    with pytest.raises(ValueError, match="the tier 'arena' is registered with another price"):
        import_file(owner, read_tenant(file))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fee_tiers": {}}, "names the tier 'arena', which is not in fee_tiers"),
        ({"royalties": [royalty(ARTIST, 10_001)]}, "royalties.0.basis_points: .* less than or equal to 10000"),
        ({"royalties": [royalty(ARTIST, 1, valid_from="2026-01-01")]}, "royalties.0.valid_from"),
        ({"wheels": 4}, "wheels: Extra inputs"),
        ({"venues": [{"venue_id": str(VENUE), "name": "x", "currency": "eur"}]}, "names a tier, or basis_points"),
    ],
)
def test_a_bad_file_is_told_where_it_is_bad(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_tenant(selling(**change))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"escrow_days": 3}, {"settlement_mode": "destination"}, "moves the money at once"),
        ({"settlement_mode": "destination"}, {"escrow_days": 3}, "moves the money at once"),
        ({"settlement_mode": "destination"}, {"refund_fee_policy": "kept"}, "gives the fee back"),
    ],
)
def test_what_a_destination_charge_excludes_is_refused_in_one_sentence(
    owner: psycopg.Connection, before: dict[str, Any], after: dict[str, Any], said: str
) -> None:
    file = listed(**before)
    import_file(owner, read_tenant(file))
    file["venues"][0] |= after

    with pytest.raises(ValueError, match=said):
        import_file(owner, read_tenant(file))
