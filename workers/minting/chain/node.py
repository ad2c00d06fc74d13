"""JSON-RPC to the chain's nodes, over HTTP: several addresses, the next one when this one fails, and typed answers.

A node that cannot be reached, is busy (429), broken (5xx) or talks nonsense is left for the next. When all have failed
the chain is away, which is nobody's fault and passes. What a node refuses is an answer, with its code and its data.
An address may carry an API key, so that only its host is ever shown (M9).
"""

import itertools
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson
import urllib3
from pydantic import SecretStr

from messages.runtime.no_calls_in_transaction import refuse_inside_transaction
from messages.verdicts import TryAgain

CONNECT_SECONDS = 2.0


class ChainAwayError(TryAgain):
    """No node gave an answer that could be read."""


class NodeRefusedError(Exception):
    """A node answered, and its answer is an error: a contract that reverted, or a transaction it does not take."""

    def __init__(self, method: str, code: int, message: str, data: str | None) -> None:
        super().__init__(f"{method}: {message} ({code})")
        self.code = code
        self.message = message
        self.data = data or ""

    @property
    def selector(self) -> str:
        """The first four bytes of what a contract reverted with; empty when it said nothing."""
        return self.data[:10] if self.data.startswith("0x") else ""


class _BadAnswerError(Exception):
    """Not an answer of JSON-RPC."""


class Node:
    """One client for all nodes; not shared between threads."""

    def __init__(self, urls: Sequence[SecretStr], *, timeout_seconds: float) -> None:
        self._urls = [url.get_secret_value() for url in urls]
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=timeout_seconds)
        self._pool = urllib3.PoolManager(num_pools=len(urls), timeout=timeout, retries=False)
        self._ids = itertools.count(1)
        self._current = 0

    def call(self, method: str, *params: object) -> Any:
        """The result of one call.

        Raises:
            NodeRefusedError: the node says no.
            ChainAwayError: no node answered.
        """
        refuse_inside_transaction("a call to the chain")
        body = orjson.dumps({"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params})
        troubles = []
        for _ in self._urls:
            url = self._urls[self._current]
            try:
                answer = self._ask(url, body)
            except (urllib3.exceptions.HTTPError, _BadAnswerError) as error:
                said = str(error) if isinstance(error, _BadAnswerError) else type(error).__name__
                troubles.append(f"{urlsplit(url).hostname}: {said}")
                self._current = (self._current + 1) % len(self._urls)
            else:
                return _result(method, answer)
        raise ChainAwayError(f"no node of the chain answers: {'; '.join(troubles)}")

    def _ask(self, url: str, body: bytes) -> dict[str, Any]:
        response = self._pool.request(
            "POST", url, body=body, headers={"Content-Type": "application/json"}, redirect=False
        )
        if response.status == 429 or response.status >= 500:
            raise _BadAnswerError(f"HTTP {response.status}")
        try:
            answer = orjson.loads(response.data)
        except orjson.JSONDecodeError:
            raise _BadAnswerError(f"HTTP {response.status} without JSON") from None
        if not isinstance(answer, dict) or not ({"result", "error"} & answer.keys()):
            raise _BadAnswerError(f"HTTP {response.status} without a result")
        return answer


def _result(method: str, answer: dict[str, Any]) -> Any:
    error = answer.get("error")
    if error is None:
        return answer["result"]
    data = error.get("data")
    text = data if isinstance(data, str) else (data or {}).get("data") if isinstance(data, dict) else None
    raise NodeRefusedError(method, int(error.get("code", 0)), str(error.get("message", "")), text)
