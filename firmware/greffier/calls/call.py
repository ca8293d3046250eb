"""The state of one call: a Call-ID, or bare RTP between two addresses."""

from greffier.calls.events import Reason, Side
from greffier.calls.leg import Leg
from greffier.capture.datagram import Address
from greffier.sip.address import Address as Party
from greffier.sip.message import Message


class Call:
    """Mutable; owned by the register, which alone changes ``number``, ``ended`` and ``closed``."""

    __slots__ = (
        "acked_tags",
        "addresses",
        "answered_ns",
        "answered_tags",
        "call_id",
        "callee_tags",
        "caller_tags",
        "destination",
        "encrypted",
        "ended",
        "ended_ns",
        "flows",
        "from_",
        "held",
        "holding",
        "informed",
        "invited",
        "invites",
        "joined_late",
        "legs",
        "listed",
        "look_ns",
        "message",
        "number",
        "one_way",
        "reason",
        "signal_ns",
        "source",
        "started_ns",
        "status",
        "to",
        "vlans",
        "waiting",
    )

    def __init__(self, call_id: str | None, time_ns: int) -> None:
        self.number = -1
        """Given when it is listed."""
        self.call_id = call_id
        self.started_ns = time_ns
        self.signal_ns = time_ns
        """Its last message."""
        self.look_ns = 0
        """Nothing is due by time before: all its legs are lent."""
        self.listed = False
        self.invited = False
        """An INVITE opened it, so that it is listed whatever comes."""
        self.waiting = False
        """Not listed yet, because its answer may show that bare RTP already listed is its own."""
        self.joined_late = False
        self.message: Message | None = None
        self.from_: Party | None = None
        self.to: Party | None = None
        self.source: Address | None = None
        self.destination: Address | None = None
        self.vlans: tuple[int, ...] = ()
        self.caller_tags: set[str | None] = set()
        self.callee_tags: set[str | None] = set()
        self.answered_tags: set[str | None] = set()
        """Of the callee's dialogs that were answered and had no BYE yet (forks have several)."""
        self.acked_tags: set[str | None] = set()
        """Of the callee's dialogs that had an ACK."""
        self.invites: set[tuple[str | None, int]] = set()
        """(From tag, CSeq) of the INVITEs seen: what comes again opens nothing again."""
        self.informed: set[tuple[str | None, int]] = set()
        """(From tag, CSeq) of the last INFOs that told keys: what is sent again tells none."""
        self.answered_ns: int | None = None
        self.one_way: dict[Side, bool] = {}
        """Which side's first description stopped audio already."""
        self.held: dict[Side, bool] = {}
        """Which side's latest description stops audio."""
        self.holding = False
        """Whether the latest event said that the call is on hold."""
        self.encrypted = False
        """The latest descriptions ask for SRTP."""
        self.addresses: dict[tuple[Address, Side], None] = {}
        """Its media addresses, the oldest first; kept by Claims."""
        self.flows: dict[tuple[Address, Address], None] = {}
        """The flows linked to it; kept by Flows."""
        self.legs: list[Leg] = []
        self.ended = False
        self.ended_ns = 0
        self.reason: Reason | None = None
        self.status: int | None = None

    @property
    def described(self) -> bool:
        """Both sides have said where they receive."""
        return len({side for _, side in self.addresses}) == 2

    @property
    def media_ns(self) -> int:
        """Its last packet; 0 for none."""
        return max((leg.latest_ns for leg in self.legs), default=0)

    def fell_silent_before(self, time_ns: int) -> bool:
        """Whether it had media, and none since *time_ns*."""
        if not self.legs or any(leg.last_ns >= time_ns for leg in self.legs):
            return False
        return self.media_ns < time_ns

    @property
    def known_ns(self) -> int:
        """A sign of life, and the last one but for what a borrower of a leg may know."""
        return max(self.signal_ns, *(leg.last_ns for leg in self.legs), 0)

    @property
    def active_ns(self) -> int:
        """Its last sign of life."""
        return max(self.signal_ns, self.media_ns)
