"""What the gate answers: facts, questions, the page of a desk (docs/facts-api.md).

Owned by the event loop's thread. Nothing that it says depends on whether a call is recorded.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs

from greffier.clock import Clock, format_time
from greffier.control.desks import AskCalls, Calls, DeskCall, Instruction
from greffier.control.facts import Tell
from greffier.errors import GreffierError
from greffier.gate import page, places, telling
from greffier.gate.acting import Acting
from greffier.gate.http import Request, Response
from greffier.gate.limits import Bucket
from greffier.gate.link import Link, Unavailable
from greffier.gate.places import Places
from greffier.gate.registry import Registry
from greffier.gate.rights import may_tell
from greffier.gate.telling import BadBody, Told
from greffier.gate.tokens import Token

COOKIE: Final = "greffier_desk"
COOKIE_S: Final = 400 * 86_400
RETRY_S: Final = 2
_T = TypeVar("_T")
_OF_STATE: Final[Mapping[str, int]] = {"taken": 201, "known": 200, "late": 202}
_OF_CODE: Final[Mapping[str, tuple[int, str]]] = {
    "no_such_call": (404, "no_such_call"),
    "no_such_line": (404, "no_such_line"),
    "no_such_recording": (404, "no_such_call"),
    "several_calls": (409, "several_calls"),
    "other_content": (409, "other_content"),
}
_REFUSED: Final = (409, "refused")


class Denied(Exception):
    """A request is answered with an error: *status*, and the word *error*."""

    def __init__(self, status: int, error: str, wait_s: int = 0) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.wait_s = wait_s


def refusal(status: int, error: str, wait_s: int = 0) -> Response:
    """The answer that names an error."""
    headers = {"Retry-After": str(wait_s)} if wait_s else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(status, _json({"error": error}), headers=headers)


class Service:
    """*origin* is how browsers name this server; a POST with a cookie must come from it."""

    def __init__(
        self,
        registry: Registry,
        link: Link,
        acting: Acting,
        clock: Clock,
        origin: str,
        language: str,
    ) -> None:
        self._registry = registry
        self._link = link
        self._acting = acting
        self._clock = clock
        self._origin = origin
        self._language = language
        self.places = Places()
        self._told = Bucket(10.0, 20)
        self._asked = Bucket(20.0, 40)
        self._wrong = Bucket(1 / 6, 10)

    async def answer(self, request: Request) -> Response:
        """The answer to *request*, whatever it is."""
        try:
            return await self._route(request)
        except Denied as denied:
            return refusal(denied.status, denied.error, denied.wait_s)
        except Unavailable as error:
            return refusal(503, error.error, RETRY_S)
        except GreffierError:  # the folder cannot be read or written
            return refusal(503, "busy", RETRY_S)

    async def _route(self, request: Request) -> Response:
        path = request.path
        if path in page.FILES:
            return self._only(request, "GET", page.file(path))
        if path == "/enrol":
            return self._enrol(request)
        if path == "/":
            known = self._desk(request) is not None
            return self._only(request, "GET", page.desk(self._language, known=known))
        if path == "/v1/facts":
            return await self._method(request, "POST", self._fact)
        if path == "/v1/desk":
            return await self._method(request, "GET", self._calls)
        if path.startswith("/v1/lines/"):
            return await self._method(request, "GET", self._line)
        if path.startswith("/v1/orders/"):
            return await self._method(request, "POST", self._acted)
        raise Denied(404, "no_such_place")

    def _only(self, request: Request, method: str, response: Response) -> Response:
        if request.method != method:
            raise Denied(405, "wrong_method")
        return response

    async def _method(
        self,
        request: Request,
        method: str,
        answer: Callable[[Request, Token], Awaitable[Response]],
    ) -> Response:
        if request.method != method:
            raise Denied(405, "wrong_method")
        return await answer(request, self._who(request))

    # --- who asks ---

    def _who(self, request: Request) -> Token:
        """The token that *request* bears. Raises Denied."""
        now = self._clock.monotonic_ns()
        if self._wrong.is_empty(request.peer, now):
            raise Denied(429, "too_many", self._wrong.wait_s(request.peer, now))
        given = request.headers.get("authorization", "")
        word, _space, text = given.partition(" ")
        found = None
        if given:
            bearer = self._find(text) if word.lower() == "bearer" else None
            found = bearer if bearer is not None and bearer.kind in ("agent", "system") else None
        else:
            found = self._desk(request)
            if found is not None and request.method == "POST":
                self._same_origin(request)
        if found is None:
            self._wrong.spend(request.peer, now)
            raise Denied(401, "no_token")
        bucket = self._told if request.method == "POST" else self._asked
        if not bucket.spend(found.id, now):
            raise Denied(429, "too_many", bucket.wait_s(found.id, now))
        return found

    def _find(self, text: str) -> Token | None:
        return self._registry.find(text, self._clock.wall_ns())

    def _desk(self, request: Request) -> Token | None:
        """The desk whose cookie came with *request*."""
        pairs = (one.strip().partition("=") for one in request.headers.get("cookie", "").split(";"))
        texts = [value for name, _equals, value in pairs if name == COOKIE]
        found = self._find(texts[0]) if len(texts) == 1 else None
        return found if found is not None and found.kind == "desk" else None

    def _same_origin(self, request: Request) -> None:
        if request.headers.get("origin", "") != self._origin:
            raise Denied(403, "wrong_origin")

    # --- facts ---

    async def _fact(self, request: Request, token: Token) -> Response:
        told = _read(request, telling.read)
        if not may_tell(token, told.fact, told.value):
            raise Denied(403, "not_allowed")
        if token.kind == "system":
            if not told.names_a_place:
                raise Denied(400, "bad_request")
            source = "api"
        else:
            source = "desk"
        place = await self._place(token, told)
        tell = Tell(
            id=told.id, fact=told.fact, value=told.text, source=source, actor=token.name,
            at_ns=told.at_ns, **place,
        )  # fmt: skip
        taken = await self._link.tell(tell)
        if taken.state in _OF_STATE:
            return _good(_OF_STATE[taken.state], {"id": told.id, "state": taken.state})
        raise Denied(*_OF_CODE.get(taken.code, _REFUSED))

    async def _place(self, token: Token, told: Told) -> dict[str, str]:
        """Which call is meant, as the recorder is told. Raises Denied, Unavailable."""
        if token.kind == "system":
            return {"call": told.call, "line": told.line, "recording": told.recording}
        if told.line or told.recording:
            raise Denied(403, "not_allowed")
        now = self._clock.monotonic_ns()
        if told.call:
            if self.places.owns(token, told.call) is None:
                await self._of(token)
            if not self.places.owns(token, told.call):
                # Of a call that is not theirs nobody learns whether it runs.
                raise Denied(403, "not_yours")
            return {"call": told.call}
        before = self.places.meant(token, told, now)
        if before is None:
            before = self._one(await self._of(token)).call
            self.places.mean(token, told, before, now)
        return {"call": before}

    async def _of(self, token: Token) -> list[DeskCall]:
        """The calls that run at a desk, or with an agent."""
        calls = await self._link.calls(places.question(token))
        self.places.see(calls)
        return [one for one in calls.calls if places.is_of(token, one)]

    def _one(self, calls: list[DeskCall]) -> DeskCall:
        if not calls:
            raise Denied(404, "no_such_call")
        if len(calls) > 1:
            raise Denied(409, "several_calls")
        return calls[0]

    # --- questions ---

    async def _calls(self, request: Request, token: Token) -> Response:
        if token.kind == "system":
            raise Denied(403, "not_allowed")
        calls = await self._of(token)
        orders = self._acting.asked(token.name) if token.kind == "desk" else []
        shown = {"calls": [_call(one) for one in calls], "orders": [_order(one) for one in orders]}
        return _good(200, shown)

    async def _line(self, request: Request, token: Token) -> Response:
        name = request.path.removeprefix("/v1/lines/")
        found = await self._link.calls(AskCalls())
        may = _rule(found, name)
        if may is None:
            raise Denied(404, "no_such_line")
        return _good(200, {"line": name, "may_be_recorded": may})

    async def _acted(self, request: Request, token: Token) -> Response:
        body = _read(request, telling.read_object)
        if body.keys() != {"outcome"} or body["outcome"] not in ("done", "failed"):
            raise Denied(400, "bad_request")
        key = request.path.removeprefix("/v1/orders/")
        if token.kind != "desk":
            raise Denied(403, "not_allowed")
        if not self._acting.answer(key, token.name, body["outcome"] == "done"):
            raise Denied(404, "no_such_order")
        return _good(200, {"id": key, "state": "taken"})

    # --- the page ---

    def _enrol(self, request: Request) -> Response:
        if request.method == "GET":
            return page.enrol(self._language, _field(request.query, "code"))
        if request.method != "POST":
            raise Denied(405, "wrong_method")
        self._same_origin(request)
        now = self._clock.monotonic_ns()
        if self._wrong.is_empty(request.peer, now):
            raise Denied(429, "too_many", self._wrong.wait_s(request.peer, now))
        code = _field(request.body.decode("latin-1"), "code")
        token = self._registry.enrol(code, self._clock.wall_ns())
        if token is None:
            self._wrong.spend(request.peer, now)
            return page.enrol(self._language, "", refused=True)
        secure = "; Secure" if self._origin.startswith("https:") else ""
        cookie = f"{COOKIE}={token}; Max-Age={COOKIE_S}; Path=/; HttpOnly; SameSite=Strict{secure}"
        return Response(303, b"", headers={"Location": "/", "Set-Cookie": cookie})


def _read(request: Request, read: Callable[[bytes], _T]) -> _T:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Denied(415, "wrong_type")
    try:
        return read(request.body)
    except BadBody:
        raise Denied(400, "bad_request") from None


def _field(form: str, name: str) -> str:
    """The field *name* of a query or a form; "" where it is not there once."""
    try:
        found = parse_qs(form, max_num_fields=4).get(name, [])
    except ValueError:
        return ""
    return found[0] if len(found) == 1 else ""


def _rule(calls: Calls, name: str) -> bool | None:
    return next((one.may for one in calls.lines if one.line == name), None)


def _call(call: DeskCall) -> dict[str, object]:
    return {
        "call": call.call,
        "line": call.line,
        "may_be_recorded": True,
        "paused": call.paused,
        "since": format_time(call.since_ns),
    }


def _order(one: Instruction) -> dict[str, object]:
    return {
        "action": one.action,
        "call": one.call,
        "id": one.id,
        "line": one.line,
        "until": format_time(one.deadline_ns),
    }


def _good(status: int, value: Mapping[str, Any]) -> Response:
    return Response(status, _json(value))


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
