"""The API's layers in Stripe's order: authentication, limiter, validation, key lookup, lock, execution, store.

An ASGI application by itself, without a framework between: it shares two processors with the fleet it serves.
Execution is one transaction that holds the effect, its events, the stored answer and the recorder's row; it runs
without pause, so two requests never interleave inside it. Only the waits around it (latency, slow execution) let
others in.
"""

import asyncio
import contextlib
import traceback
from dataclasses import dataclass

import orjson

from ..resources.accounts import lifecycle as accounts
from ..resources.balance import invariants
from ..resources.operation import Operation
from ..state.idempotency import Stored, fingerprint_of
from ..state.recorder import Origin
from ..webhooks.dispatcher import Dispatcher
from ..wire.errors import Json, StripeError
from ..world import Call, World
from .capabilities import capabilities
from .expand import expand
from .http import Answer, Receive, Request, Scope, Send, TornError, Wire, read_request, send_answer
from .interference import Interference
from .limits import Limiter
from .routes import route


@dataclass(slots=True)
class Api:
    """The ASGI application of the API port; it answers /_emulator/health and /_emulator/capabilities too."""

    world: World
    dispatcher: Dispatcher
    limiter: Limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = await read_request(scope, receive)
        except TornError:  # nobody is there to be answered
            return
        if request.path.startswith("/_emulator/"):
            answer, interference = self._about(request), Interference()
        else:
            request.id = self.world.identifiers.new("req", 14)
            answer, interference = await self._handle(request)
        wire = Wire(scope, receive, send)
        await send_answer(wire, request, answer, interference)

    def _about(self, request: Request) -> Answer:
        if request.path == "/_emulator/health":
            return Answer(200, orjson.dumps({"status": "ok", "clock": self.world.clock.describe()}))
        if request.path == "/_emulator/capabilities":
            return Answer(200, orjson.dumps(capabilities(self.world.settings)))
        return Answer(404, b"{}")

    async def _handle(self, request: Request) -> tuple[Answer, Interference]:
        interference = Interference()
        try:
            request.authenticate()
            if not accounts.exists(self.world, request.account):
                raise accounts.no_access(request.account)
            interference = self._interference(request)
            if interference.latency_seconds:
                await asyncio.sleep(interference.latency_seconds)
            if interference.drop_before:
                self._record(request, None, interference)
                return Answer(0, b""), interference
            self.limiter.take(request.account, request.method, request.path)
            if interference.refusal is not None:
                return self._refuse(request, interference.refusal, interference), interference
            return await self._serve(request, interference), interference
        except StripeError as error:
            return self._refuse(request, error, interference), interference

    def _interference(self, request: Request) -> Interference:
        fired = self.world.faults.for_request(
            request.method, request.path, request.account, request.idempotency_key, request.id
        )
        return Interference.of(fired, self.world.faults.chance)

    async def _serve(self, request: Request, interference: Interference) -> Answer:
        request.check_version()
        operation, path_ids = route(request.method, request.path)
        raw = request.parameters()
        parameters = operation.takes.read(raw)
        if operation.check is not None:
            operation.check(parameters)
        key = request.idempotency_key
        origin = Origin(request.id, key)
        call = Call(self.world, request.account, origin, request.path, path_ids, parameters)
        if request.method == "GET":
            return self._read(request, operation, call, interference)
        request.fingerprint = fingerprint_of(request.method, request.path, raw)
        if key is None:
            return self._execute(request, operation, call, interference)
        stored = self.world.keys.look_up(request.account, key, request.fingerprint)
        if stored is not None:
            return self._replay(request, stored, interference)
        return await self._execute_holding(key, request, operation, call, interference)

    def _read(self, request: Request, operation: Operation, call: Call, interference: Interference) -> Answer:
        self.dispatcher.write_results()  # delivery results still in memory belong to what is read
        answer = Answer(200, orjson.dumps(expand(call, operation.answer(call))))
        if interference.instead is not None:
            answer = _refusal(interference.instead)
        self._record(request, answer.status, interference)
        return answer

    def _replay(self, request: Request, stored: Stored, interference: Interference) -> Answer:
        self._record(request, stored.status, interference, replayed=True)
        headers = {"Idempotent-Replayed": "true", "Original-Request": stored.request_id} | stored.headers
        return Answer(stored.status, stored.body, headers)

    async def _execute_holding(
        self, key: str, request: Request, operation: Operation, call: Call, interference: Interference
    ) -> Answer:
        """Hold the key while executing: who comes with it meanwhile gets 409."""
        running, held = self.world.keys.running, (request.account, key)
        running.add(held)
        try:
            pause = interference.hold_seconds + self.world.settings.latency_ms / 1000
            if pause:
                await asyncio.sleep(pause)
            return self._execute(request, operation, call, interference)
        finally:
            running.discard(held)

    def _execute(self, request: Request, operation: Operation, call: Call, interference: Interference) -> Answer:
        with self.world.store.transaction():
            answer, executed = self._perform(operation, call, interference)
            if interference.instead is not None:
                answer, executed = _refusal(interference.instead), interference.instead_is_stored
            if executed and request.idempotency_key is not None:
                stored = Stored(answer.status, answer.body, request.id, answer.headers)
                self.world.keys.remember(request.account, request.idempotency_key, request.fingerprint, stored)
            self._record(request, answer.status, interference)
        self.dispatcher.send_fresh()
        return answer

    def _perform(self, operation: Operation, call: Call, interference: Interference) -> tuple[Answer, bool]:
        """The answer, and whether the endpoint had begun to execute (then it is stored under the key)."""
        if interference.execute_later_seconds is not None:
            details: Json = {"method": operation.method, "path": call.path, "parameters": call.parameters}
            details |= {"request_id": call.origin.request_id, "key": call.origin.idempotency_key}
            self.world.schedule.add(
                "roll_forward", interference.execute_later_seconds, call.account, call.path, details
            )
            return Answer(0, b""), True
        if not interference.executes:
            return Answer(0, b""), True
        try:
            return self._result(operation, call), True
        except StripeError as error:
            if not error.keeps_effects:
                self.world.store.start_over()
            return _refusal(error), error.executed
        except Exception:  # noqa: BLE001 - a bug of the emulator must answer as a server's bug does, and be seen
            traceback.print_exc()
            self.world.store.start_over()
            return _refusal(StripeError(500, "api_error", "The emulator has a bug.", code="emulator_bug")), False

    def _result(self, operation: Operation, call: Call) -> Answer:
        answer = Answer(200, orjson.dumps(expand(call, operation.answer(call))))
        if self.world.settings.verify_ledger:
            invariants.verify(self.world)
        return answer

    def _refuse(self, request: Request, error: StripeError, interference: Interference) -> Answer:
        self._record(request, error.status, interference)
        return _refusal(error)

    def _record(
        self, request: Request, status: int | None, interference: Interference, *, replayed: bool = False
    ) -> None:
        self.world.recorder.request(
            request.method,
            request.path,
            request.id,
            account=request.account,
            key=request.idempotency_key,
            fingerprint=request.fingerprint or None,
            status=status,
            replayed=replayed,
            fault=interference.names,
        )


def roll_forward(world: World, account: str, details: dict[str, object]) -> None:
    """The late half of a 500 that Stripe rolls forward: no answer ever shows it, only events do."""
    operation, path_ids = route(str(details["method"]), str(details["path"]))
    parameters = details["parameters"]
    assert isinstance(parameters, dict)
    request_id, key = details["request_id"], details["key"]
    origin = Origin(str(request_id), None if key is None else str(key))
    call = Call(world, account, origin, str(details["path"]), path_ids, parameters)
    with contextlib.suppress(StripeError), world.store.attempt():
        try:
            operation.answer(call)
        except StripeError as error:
            if not error.keeps_effects:
                raise


def _refusal(error: StripeError) -> Answer:
    return Answer(error.status, orjson.dumps(error.body()), error.headers)
