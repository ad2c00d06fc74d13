"""Registering tenants: again and again, and what may change when it is done again."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from db.tenants import register, tenant_from_json


def listed(**venue: Any) -> dict[str, Any]:
    plan = {"name": "The Hall", "currency": "eur", "basis_points": 500, "fixed_minor": 50}
    return {"tenant_id": str(uuid4()), "name": "A Promoter", "venues": [{"venue_id": str(uuid4())} | plan | venue]}


def policies(owner: psycopg.Connection) -> list[tuple[str, str]]:
    return owner.execute("SELECT refund_fee_policy, early_fraud_policy FROM venues").fetchall()


def test_a_venue_without_policies_gets_the_fee_back_and_leaves_warnings_to_people(owner: psycopg.Connection) -> None:
    register(owner, [tenant_from_json(listed())])

    assert policies(owner) == [("returned", "leave")]


def test_a_policy_that_the_file_names_is_changed_by_the_next_import_and_one_that_it_does_not_stays(
    owner: psycopg.Connection,
) -> None:
    file = listed(refund_fee_policy="kept", early_fraud_policy="refund")
    register(owner, [tenant_from_json(file)])
    before = policies(owner)

    file["venues"][0] |= {"refund_fee_policy": "returned", "early_fraud_policy": None, "basis_points": 100}
    register(owner, [tenant_from_json(file)])

    assert before == [("kept", "refund")]
    assert policies(owner) == [("returned", "refund")]
    assert owner.execute("SELECT basis_points FROM fee_plans").fetchall() == [(500,)]


def test_a_policy_that_is_none_is_refused(owner: psycopg.Connection) -> None:
    with pytest.raises(ValueError, match="returned, kept"):
        tenant_from_json(listed(refund_fee_policy="sometimes"))
