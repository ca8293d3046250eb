"""Head office without threads and without a broker: each step when the test says so."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from greffier.durable import Disk, System
from greffier.errors import GreffierError
from greffier.sync import chunk
from greffier.sync.messages import Fork, Have, Later, Need, Offered, Refused
from greffier.trust import LogKey
from greffier_office import migrations, offers, storing
from greffier_office.catalogue import Catalogue
from greffier_office.committer import BlockStored, Committer, PartStored
from greffier_office.log_keeper import LogKeeper
from greffier_office.objects import Objects
from greffier_office.offers import Unknowns
from greffier_office.place import Office
from greffier_office.steps import Action, Finish, Keep, Say
from greffier_office.uploads import Uploads

T0 = 1_800_000_000
Told = tuple[str, Have | Fork | Need | Later | Refused | bytes]


class Crash(Exception):
    """The process is killed here."""


@dataclass
class Voice:
    """Notes what boxes are told."""

    told: list[Told] = field(default_factory=list)

    def audit(self, device: str, message: Have | Fork) -> None:
        self.told.append((device, message))

    def need(self, device: str, message: Need | Later | Refused) -> None:
        self.told.append((device, message))

    def receipt(self, device: str, receipt: bytes) -> None:
        self.told.append((device, receipt))


def enrol(office: Office, key: LogKey) -> str:
    """Write the row of a device whose log is signed by *key*; its name."""
    device = key.name.removeprefix("greffier/")
    db = office.open_catalogue(Disk())
    with migrations.transaction(db, office.catalogue):
        db.execute(
            "INSERT INTO devices VALUES (?, ?, '', 0, NULL, '01', '02')",
            (device, key.public_line()),
        )
    db.close()
    return device


class Inside:
    """One life of the collector's machinery, run by the test's own thread.

    *strike* is asked before each durable step (``put``, ``envelope``, ``row``, ``receipt``) and may
    raise; a :class:`Crash` ends this life.
    """

    def __init__(
        self,
        office: Office,
        *,
        system: System | None = None,
        lane: str = "a1",
        budget: int = 64 << 20,
        strike: Callable[[str], None] = lambda step: None,
        now_ns: Callable[[], int] | None = None,
    ) -> None:
        self.office = office
        self.voice = Voice()
        self.now_s = 0.0
        self._now_ns = now_ns
        self.disk = Disk(system)
        self.rows = Catalogue.open(office.catalogue, Disk())
        self.envelopes = office.open_envelopes(Disk())
        self.objects = Objects(office.objects, self.disk)
        self.uploads = Uploads(lane, budget)
        self.keeper = LogKeeper(self.rows, self.objects, office.witness_signer(), self.clock)
        self.unknowns = Unknowns()
        self.strike = strike
        self.queue: deque[Action] = deque()
        self.committer = Committer(
            lambda: (self.rows, self.envelopes),
            office.receipt_signer(),
            self.voice,
            self._finished,
            self.clock,
        )

    def clock(self) -> int:
        return self._now_ns() if self._now_ns else int((T0 + self.now_s) * 1e9)

    def close(self) -> None:
        self.rows.close()
        self.envelopes.close()

    def audit(self, device: str, payload: bytes) -> Have | Fork | None:
        answer = self.keeper.take(device, payload)
        return answer.message if answer else None

    def offer(self, device: str, *offered: Offered) -> None:
        log = self.rows.log(device)
        for one in offered:
            row = self.rows.part(device, one.part)
            key = (device, one.part)
            no = offers.judge(row, log, one, key, self.unknowns, self.now_s, self.clock())
            if no is not None:
                self.voice.need(device, no)
            elif row is not None and row.receipt is not None:
                self.strike("receipt")
                self.voice.receipt(device, row.receipt.encode())
            else:
                held = self.rows.held(one.blocks)
                self.queue += self.uploads.offer(device, one, held, self.now_s)
        self.run()

    def chunk(self, device: str, payload: bytes) -> None:
        self.queue += self.uploads.chunk(device, chunk.decode(payload), self.now_s)
        self.run()

    def tick(self, seconds: float) -> None:
        self.now_s += seconds
        self.queue += self.uploads.tick(self.now_s)
        self.run()

    def run(self) -> None:
        """Do what the uploads ask for until nothing is left."""
        while self.queue:
            self._do(self.queue.popleft())

    def _do(self, action: Action) -> None:
        match action:
            case Say(device, message):
                self.voice.need(device, message)
            case Keep():
                self.queue += self.uploads.kept(action, self._keep(action), self.now_s)
            case Finish():
                row = self.rows.part(*action.key)
                assert row is not None
                looked = storing.look(self.objects, action)
                if looked.outcome != "kept":
                    self._finished(action, looked.outcome)
                    return
                self.strike("envelope")
                self._commit([PartStored(action, row, looked.about)])

    def _keep(self, block: Keep) -> str:
        self.strike("put")
        try:
            outcome = storing.keep(self.objects, block)
        except GreffierError as error:
            return "space" if storing.is_full(error) else "failed"
        if outcome == "kept":
            self.strike("row")
            self._commit([BlockStored(block.sha256, len(block.data))])
        return outcome

    def _commit(self, items: list[BlockStored | PartStored]) -> None:
        self.committer.commit(items, self.rows, self.envelopes)

    def _finished(self, part: Finish, outcome: str) -> None:
        self.queue += self.uploads.finished(part, outcome, self.now_s)
