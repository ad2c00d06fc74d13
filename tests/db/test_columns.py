"""What the schema promises of its columns, computed from the catalogue, so that a forgotten column is named."""

import psycopg

COLUMNS = (
    "SELECT table_name || '.' || column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
)


def test_every_amount_is_a_bigint_of_minor_units(owner: psycopg.Connection) -> None:
    amounts = owner.execute(COLUMNS + r" AND column_name LIKE '%\_minor'").fetchall()

    assert {name for name, kind in amounts if kind != "bigint"} == set()
    assert len(amounts) >= 6


def test_no_column_can_hold_a_fraction_or_a_rounded_number(owner: psycopg.Connection) -> None:
    fractions = owner.execute(COLUMNS + " AND data_type IN ('real', 'double precision', 'numeric', 'money')").fetchall()

    assert fractions == []


def test_every_amount_stands_beside_its_currency(owner: psycopg.Connection) -> None:
    without = owner.execute(
        r"""
        SELECT DISTINCT table_name FROM information_schema.columns c
        WHERE table_schema = 'public' AND column_name LIKE '%\_minor' AND NOT EXISTS (
            SELECT FROM information_schema.columns d
            WHERE d.table_name = c.table_name AND d.domain_name = 'currency')
        """
    ).fetchall()

    assert without == []


def test_every_time_knows_its_zone(owner: psycopg.Connection) -> None:
    zoneless = owner.execute(
        COLUMNS + " AND (data_type IN ('timestamp without time zone', 'date', 'time without time zone')"
        r" OR column_name ~ '_(at|since)$' AND data_type <> 'timestamp with time zone')"
    ).fetchall()

    assert zoneless == []


def test_keys_that_the_database_makes_grow_with_time(owner: psycopg.Connection) -> None:
    defaults = owner.execute(
        "SELECT table_name || '.' || column_name, column_default FROM information_schema.columns "
        "WHERE table_schema = 'public' AND data_type = 'uuid' AND column_default IS NOT NULL"
    ).fetchall()

    assert {name for name, default in defaults if default != "uuidv7()"} == set()
    assert len(defaults) >= 4


def test_a_buyers_key_is_unique_within_a_tenant_and_only_where_it_is_given(owner: psycopg.Connection) -> None:
    row = owner.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'payments_idempotency_key'").fetchone()

    assert row is not None
    assert "UNIQUE" in row[0]
    assert "(tenant_id, idempotency_key) WHERE (idempotency_key IS NOT NULL)" in row[0]
