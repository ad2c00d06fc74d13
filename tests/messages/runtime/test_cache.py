"""Where the cache is."""

import pytest
from pydantic import SecretStr

from messages.runtime.cache import CacheSettings


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("valkey://:word@valkey:6379/0", "redis://:word@valkey:6379/0"),
        ("valkeys://:word@valkey:6379/0", "rediss://:word@valkey:6379/0"),
        ("redis://:word@valkey:6379/0", "redis://:word@valkey:6379/0"),  # the host that compose has
    ],
)
def test_only_the_scheme_is_put_into_the_words_of_the_client(given: str, read: str) -> None:
    assert CacheSettings(app_env="staging", redis_url=SecretStr(given)).client_url == read
