"""The venues' back office, on the API: it captures and cancels what is held, and gives money back.

Each request has its own key and is repeated with it until there is an answer, through every fault. What was promised
(a refund that the API has accepted) must be in the book afterwards; the proof looks.
"""

import hashlib
import json
import threading
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from deploy.local.scenario.buyers import PaymentNotice
from outbox.intake.api.callers import EVERY_VENUE, CallerRole, Permission
from outbox.web.bearer_tokens import read_private_key, sign

ANSWER_SECONDS = 8.0  # the API waits for the database itself, and says so after three
TOKEN_SECONDS = 3_600
# Of a hundred payments whose amount is held, and of a hundred that are paid: what is asked for, and how much of the
# amount. The rest is left alone.
_OF_HELD = ((60, "capture", "all"), (12, "capture", "half"), (12, "cancel", "all"))
_OF_PAID = ((6, "refunds", "half"), (4, "refunds", "all"))
# The way of the request failed, somebody is at work on it, or too many were asked: the same again.
_AGAIN = frozenset({408, 409, 429})
_IN_PROGRESS = "request-in-progress"


@dataclass(frozen=True, slots=True)
class Request:
    """`key` is its Idempotency-Key, and names its caller: nobody meets anybody's limits."""

    tenant_id: str
    path: str
    body: dict[str, Any]
    key: str


class BackOffice:
    """`answers` counts what was said, by status; `promised` are the refunds that the API has accepted."""

    def __init__(self, address: str, environment: dict[str, str], seed: int) -> None:
        self.answers: Counter[int] = Counter()
        self.promised: set[str] = set()
        self._address, self._seed = address, seed
        # Read once: checking a private key takes 90 ms of CPU, and two dozen threads that each did so for every request
        # kept the storm (26) from being asked at all on a busy machine.
        self._key = read_private_key(Path(environment["API_SIGNING_KEY_FILE"]))
        self._issuer, self._audience = environment["API_JWT_ISSUER"], environment["API_JWT_AUDIENCE"]
        self._http = urllib3.PoolManager(maxsize=40, timeout=ANSWER_SECONDS, retries=False)
        self._waiting: deque[Request] = deque()
        self._writing = threading.Lock()

    def notice(self, payment: PaymentNotice) -> None:
        """Decide what is done about a payment; the same payment again is the same request."""
        throw = Random(f"{self._seed}/{payment.number}/office").randrange(100)  # noqa: S311  seeded, not a secret
        for share, verb, how_much in _OF_HELD if payment.held else _OF_PAID:
            if throw < share:
                half = {"amount": {"minor": max(1, payment.minor // 2), "currency": payment.currency}}
                path, key = f"/payments/{payment.payment_id}/{verb}", f"office-{verb}-{payment.payment_id}"
                self._waiting.append(Request(payment.tenant_id, path, half if how_much == "half" else {}, key))
                return
            throw -= share

    def work(self, pausing: threading.Event) -> None:
        """Ask each waiting request once; what was not answered waits for the next time, as does the rest on a pause."""
        for _ in range(len(self._waiting)):
            if pausing.is_set():
                return
            request = self._waiting.popleft()
            if self.ask(request) is None:
                self._waiting.append(request)

    def ask(self, request: Request) -> int | None:
        """The status that stands; None when nobody knows, and the same request must be asked again."""
        token, key = self._token(request), request.key
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key, "Content-Type": "application/json"}
        try:
            answer = self._http.request(
                "POST", self._address + request.path, body=json.dumps(request.body), headers=headers
            )
            said = json.loads(answer.data)
        except (HTTPError, ValueError):
            return None
        if answer.status >= 500 or (answer.status in _AGAIN and not _stands(said)):
            return None
        with self._writing:
            self.answers[answer.status] += 1
            if answer.status == 202 and said.get("refund"):
                self.promised.add(said["refund"]["refund_id"])
        return answer.status

    def _token(self, request: Request) -> str:
        claims = {
            "sub": hashlib.sha256(request.key.encode()).hexdigest()[:16],
            "tenant_id": request.tenant_id,
            "roles": [CallerRole.SERVICE.value],
            "venues": EVERY_VENUE,
            "scope": " ".join((Permission.REFUND, Permission.CAPTURE, Permission.CANCEL)),
        }
        return sign(claims, self._key, issuer=self._issuer, audience=self._audience, seconds=TOKEN_SECONDS)


def _stands(problem: dict[str, Any]) -> bool:
    """A 409 that says how the payment stands is an answer; one that says "in a second" is none."""
    return problem.get("status") == 409 and not str(problem.get("type", "")).endswith(_IN_PROGRESS)
