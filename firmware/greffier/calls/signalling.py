"""SIP: what a message does to its call."""

from collections import Counter, deque

from greffier.calls.call import Call
from greffier.calls.claims import Claims, media_address, other_side
from greffier.calls.events import CallHeld, CallResumed, Farewell, KeyTold, Side
from greffier.calls.keys import told_keys
from greffier.calls.media import MediaPath
from greffier.calls.register import Register
from greffier.capture.datagram import Address, Datagram
from greffier.sip import sdp
from greffier.sip.message import BadMessage, Message, Request, Response, parse
from greffier.sip.multipart import sdp_parts

Described = list[tuple[sdp.Media, Address | None]]
_DESCRIBING = {"INVITE", "ACK", "PRACK", "UPDATE"}
_MOST_FAREWELLS = 1024
_MOST_INFORMED = 1024  # INFOs of one call that are told from what is sent again
_GONE = {
    481,
    408,
}  # the other side knows no such dialog, or nothing: it is over (RFC 3261 12.2.1.2)


class Signalling:
    """Takes SIP datagrams; changes calls, claims and, through descriptions, flows."""

    def __init__(
        self, register: Register, claims: Claims, media: MediaPath, ignored: Counter[str]
    ) -> None:
        self._register = register
        self._claims = claims
        self._media = media
        self._ignored = ignored
        self.farewells: deque[Farewell] = deque(maxlen=_MOST_FAREWELLS)
        """Of dialogs that were not heard; the tracker hands them on."""

    def take(self, datagram: Datagram) -> None:
        """One datagram that begins like SIP."""
        try:
            message = parse(datagram.payload)
        except BadMessage:
            self._ignored["bad_sip"] += 1
            return
        call = self._call_of(message, datagram)
        if call is None:
            self._ignored["no_call"] += 1
            if _says_farewell(message):
                self.farewells.append(Farewell(message.call_id, datagram.time_ns))
            return
        call.signal_ns = max(call.signal_ns, datagram.time_ns)
        described = self._media_of(message, datagram.source.host)
        if isinstance(message, Request):
            self._request(call, message, described, datagram.time_ns)
            if message.method == "INFO":
                self._keys(call, message, datagram)
        else:
            self._response(call, message, datagram.time_ns)
        if described:
            side = self._sender(call, message, datagram)
            self._claim(call, side, described, datagram.time_ns)
        if call.waiting and (call.ended or call.described):
            # Whatever it was to be adopted by has been looked for.
            self._register.enlist(call)

    def _call_of(self, message: Message, datagram: Datagram) -> Call | None:
        """The call of a message, opened if this message may open one."""
        call = self._register.by_id.get(message.call_id)
        if call is not None:
            return call
        tag = message.from_.tag if message.from_ else None
        method = message.cseq.method
        if method not in _DESCRIBING or self._register.past(
            message.call_id, tag, message.cseq.number
        ):
            return None
        invite = isinstance(message, Request) and message.method == "INVITE"
        if not invite:
            # What an INVITE that was not heard has left behind counts only with a description.
            failed = isinstance(message, Response) and message.status >= 300
            if failed or not message.body or not sdp_parts(message):
                return None
        call = self._register.open(message.call_id, datagram.time_ns)
        call.joined_late = not invite or _to_tag(message) is not None
        call.message, call.from_, call.to = message, message.from_, message.to
        call.caller_tags.add(tag)
        call.source, call.destination = datagram.source, datagram.destination
        call.vlans = datagram.vlans
        if isinstance(message, Response):
            call.source, call.destination = call.destination, call.source
        if call.joined_late and (invite or isinstance(message, Request)):
            self._register.answer(call, datagram.time_ns, _to_tag(message))
        return call

    def _media_of(self, message: Message, host: str) -> Described:
        """Every stream that a message describes, with its address."""
        if message.cseq.method not in _DESCRIBING or not message.body:
            return []
        found: Described = []
        for part in sdp_parts(message):
            try:
                session = sdp.parse(part)
            except sdp.BadSession:
                self._ignored["bad_sdp"] += 1
                continue
            found += [(media, media_address(media, host)) for media in session.media]
        return found

    def _request(self, call: Call, request: Request, described: Described, time_ns: int) -> None:
        """What a request does."""
        tag = request.from_.tag if request.from_ else None
        if request.method == "INVITE":
            self._invite(call, request, tag, described)
        elif request.method == "CANCEL":
            if call.answered_ns is None:
                self._register.end(call, time_ns, "cancelled")
        elif request.method == "ACK":
            call.acked_tags.add(_to_tag(request) if tag in call.caller_tags else tag)
        elif request.method == "BYE":
            remote = _to_tag(request) if tag in call.caller_tags else tag
            call.answered_tags.discard(remote)
            # One branch of a fork may be told to go while another one talks on. A branch that was
            # never acknowledged is no conversation: gateways that merge branches leave such.
            if not call.answered_tags & call.acked_tags or remote not in call.callee_tags:
                self._register.end(call, time_ns, "bye")

    def _keys(self, call: Call, request: Request, datagram: Datagram) -> None:
        """Tell the keys that an INFO names."""
        keys = told_keys(request)
        name = (request.from_.tag if request.from_ else None, request.cseq.number)
        if not keys or not call.listed or name in call.informed:
            return
        if len(call.informed) == _MOST_INFORMED:
            call.informed.clear()
        call.informed.add(name)
        side = self._sender(call, request, datagram)
        for key in keys:
            self._register.out.append(KeyTold(call.number, datagram.time_ns, side, key))

    def _invite(self, call: Call, request: Request, tag: str | None, described: Described) -> None:
        """A first INVITE, a repetition, another attempt, or a re-INVITE."""
        new = self._register.saw_invite(call, tag, request.cseq.number)
        fresh = _to_tag(request) is None
        if fresh:
            call.caller_tags.add(tag)
            if not call.listed and not call.invited:
                # Its answer overtook it, so its beginning is heard after all.
                call.joined_late = False
                call.message, call.from_, call.to = request, request.from_, request.to
        call.invited = True
        if new and fresh and call.ended:
            self._register.revive(call)
        if call.listed or call.waiting:
            return
        offered = [address for media, address in described if address and media.kind == "audio"]
        if self._media.touches_bare(offered):
            call.waiting = True
        else:
            self._register.enlist(call)

    def _response(self, call: Call, response: Response, time_ns: int) -> None:
        """What a response does."""
        status, tag = response.status, _to_tag(response)
        caller = response.from_.tag if response.from_ else None
        if response.cseq.method == "BYE":
            if status >= 300 and status not in _GONE and call.reason == "bye":
                # Refused (a forged one, or one that must authenticate first): they talk on.
                self._register.revive(call)
                call.answered_tags.add(tag if caller in call.caller_tags else caller)
            return
        if response.cseq.method != "INVITE":
            return
        self._register.saw_invite(call, caller, response.cseq.number)
        if caller in call.caller_tags and tag is not None:
            call.callee_tags.add(tag)
        if 200 <= status < 300:
            self._register.answer(call, time_ns, tag if caller in call.caller_tags else caller)
        elif status >= 300:
            if call.answered_ns is None:
                self._register.end(
                    call, time_ns, "cancelled" if status == 487 else "rejected", status
                )
        elif status > 100 and call.ended and call.reason == "rejected":
            self._register.revive(call)  # another branch of a fork still rings

    def _claim(self, call: Call, side: Side, described: Described, time_ns: int) -> None:
        """Claim the media addresses that a message names for the side that sent it."""
        addresses: list[Address] = []
        stopped: list[bool] = []
        for media, address in described:
            audio = media.kind == "audio"
            if audio and not media.rejected:
                stopped.append(address is None or media.direction != "sendrecv")
                call.encrypted = media.encrypted
            if address is None or (not audio and address in addresses):
                continue  # with BUNDLE all streams share the audio's address
            self._claims.add(call, side, address, media)
            addresses.append(address)
        if stopped:
            self._hold(call, side, all(stopped), time_ns)
        if addresses:
            self._media.described(call, addresses, time_ns)

    def _hold(self, call: Call, side: Side, stopped: bool, time_ns: int) -> None:
        """Say when a call goes on hold, and when it is resumed."""
        # One-way from the beginning is an announcement, not a hold.
        one_way = call.one_way.setdefault(side, stopped)
        call.held[side] = stopped and not one_way
        holding = call.answered_ns is not None and any(call.held.values())
        if call.listed and holding != call.holding:
            call.holding = holding
            event = CallHeld if holding else CallResumed
            self._register.out.append(event(call.number, time_ns))

    def _sender(self, call: Call, message: Message, datagram: Datagram) -> Side:
        """Whose description a message carries."""
        tag = message.from_.tag if message.from_ else None
        if tag is None and call.source is not None:
            # Without tags (RFC 2543) the network tells: the caller sent the first request.
            return "caller" if datagram.source == call.source else "callee"
        requester: Side = "caller" if tag in call.caller_tags else "callee"
        return requester if isinstance(message, Request) else other_side(requester)


def _says_farewell(message: Message) -> bool:
    """Whether a BYE was accepted, or there was nothing left to end (RFC 3261 section 15.1)."""
    return (
        isinstance(message, Response)
        and message.cseq.method == "BYE"
        and (200 <= message.status < 300 or message.status in _GONE)
    )


def _to_tag(message: Message) -> str | None:
    """The tag of the To header."""
    return message.to.tag if message.to else None
