"""What the tests of the book share: a second tenant to keep apart, and a database without a schema."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from db.tenants.tenants import Tenant
from deploy.local.stack.stack import Stack
from tests import factories


@pytest.fixture
def tenant(owner: psycopg.Connection) -> Tenant:
    return factories.tenant(owner)


@pytest.fixture
def bare_url(stack: Stack) -> Iterator[str]:
    """A database that was never migrated, as its owner sees it."""
    name = f"bare_{uuid4().hex[:12]}"
    with psycopg.connect(stack.postgres.superuser_url("postgres"), autocommit=True) as superuser:
        superuser.execute(f"CREATE DATABASE {name} OWNER fleet_owner")
        yield stack.postgres.owner_url(name)
        superuser.execute(f"DROP DATABASE {name} WITH (FORCE)")
