"""Which policy is in force, and what replaces it: verified, stored, logged, then in force.

docs/policy-signing.md. What runs is what the log says last; a file or an order only proposes.
Signatures, compiler and disk are the matter of a thread of its own, one order at a time, so that
recording waits for none of them; version, log and effect are the recorder's thread's.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from greffier.audit.entry import Entry
from greffier.audit.kinds import LONGEST_LIST, NAME
from greffier.audit.note import ED25519, VerifierKey
from greffier.config.records import Config
from greffier.control.board import Board, Order, Orders
from greffier.control.governance import AdoptPolicy
from greffier.control.messages import Done, Failure
from greffier.errors import BadPolicy, StorageFailed
from greffier.policy import rules
from greffier.policy.difference import LOOSER, Change, differences
from greffier.policy.fallback import unreadable
from greffier.policy.packs import Packs
from greffier.policy.site import Policy
from greffier.policy.succession import OLDER, Succession
from greffier.recorder import adopted_policies, adoption, operators
from greffier.recorder.adoption import Candidate, NotAdopted, refused
from greffier.recorder.archive import Archive
from greffier.recorder.operators import Listed, Roll
from greffier.recorder.troubles import Troubles
from greffier.trust import load_log_key

MOST_WAITING: Final = 2
REFUSED: Final = "policy.refused"
UNREADABLE: Final = "policy.unreadable"


@dataclass(frozen=True, slots=True)
class _Examined:
    """What became of an order so far: a policy that is stored, or why it is refused."""

    order: Order
    found: Candidate | NotAdopted | StorageFailed


@dataclass(frozen=True, slots=True)
class _Logged:
    """A policy whose entry has the number *seq*: in force when that is durable."""

    order: Order
    seq: int
    candidate: Candidate


class Fixed:
    """In the place of a :class:`Governor` where nobody governs: one policy, taken as signed."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def meet(self, archive: Archive, troubles: Troubles, board: Board) -> Policy:
        """The policy; its entry is appended."""
        archive.log.append("policy.adopted", None, adoption.adopted(self.policy))
        return self.policy

    def step(self, adopt: Callable[[Policy], None]) -> bool:
        """Nothing else is ever adopted."""
        return False

    def leave(self) -> None:
        """Nothing is under way."""


class Governor:
    """Made once a process; :meth:`meet` and :meth:`leave` for each opened archive.

    The recorder's thread owns it; the thread of an examination only sets ``_examined``.
    """

    def __init__(self, config: Config, packs: Packs) -> None:
        """Reads what the configuration proposes. Raises NotAdopted where it may not be run, and
        nothing was ever adopted here.
        """
        self._config = config
        self._packs = packs
        self._proposed: Candidate | NotAdopted
        try:
            signers = self._signers(None, {})
            self._proposed = adoption.read_candidate(
                config.policy, config.policy_signature, signers, packs
            )
        except NotAdopted as error:
            self._proposed = error
            if not (config.data / "policies").is_dir() and not _has_operators(config.data):
                raise
        self.policy = unreadable("closed")
        """The one in force; the recorder's thread alone replaces it."""
        if isinstance(self._proposed, Candidate):
            self.policy = self._proposed.policy
        self._archive: Archive | None = None
        self._orders = Orders(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._examined: _Examined | None = None  # set by the thread, taken by the recorder's
        self._logged: _Logged | None = None
        self._refusal: tuple[str, str] | None = None  # told last

    # --- a start ---

    def meet(self, archive: Archive, troubles: Troubles, board: Board) -> Policy:
        """The policy that the recorder over *archive*, which is recovered, runs from now on.

        Its entry is appended, and durable with the next tick. Raises NotAdopted: there is none.
        Raises StorageFailed.
        """
        self._archive = archive
        known = self._succession
        try:
            proposed = self._propose(archive)
            adopted = self._judge(proposed, known)
        except NotAdopted as error:
            if known.latest is None:
                raise
            quiet = error.code == OLDER
            troubles.set(not quiet, REFUSED)
            if not quiet:
                self._log_refusal(error)
            self.policy = self._kept(known, troubles)
        else:
            troubles.set(False, REFUSED)
            troubles.set(False, UNREADABLE)
            adopted_policies.keep(archive, proposed)
            self.policy = proposed.policy
            self._append(self._entry(proposed) if adopted else adoption.adopted(proposed.policy))
        board.route({AdoptPolicy: self._orders})
        return self.policy

    def leave(self) -> None:
        """The archive is let go: an order that is under way comes to nothing."""
        self._archive = None
        for order in self._orders.take():
            order.done(Failure("busy", "stopping"))
        if self._logged is not None:
            self._logged.order.done(Failure("busy", "stopping"))
        self._logged = None

    def _propose(self, archive: Archive) -> Candidate:
        """What the configuration names, by the signers who count now. Raises NotAdopted."""
        config = self._config
        signers = self._signers(archive, archive.sealing.roll.listed)
        return adoption.read_candidate(config.policy, config.policy_signature, signers, self._packs)

    def _kept(self, known: Succession, troubles: Troubles) -> Policy:
        """The policy that the log names; where its file is not what it was, the fail mode's."""
        latest = known.latest or {}
        try:
            policy = adopted_policies.read_stored(
                self._opened.data.policies, latest["policy_sha256"]
            )
        except BadPolicy:
            troubles.set(True, UNREADABLE)
            # A log of an earlier version does not say how to fail: then nothing is recorded.
            never = tuple(latest.get("never") or ())
            return unreadable(
                latest.get("fail_mode", "closed"), latest.get("controller", "FR"), never
            )
        troubles.set(False, UNREADABLE)
        self._append(adoption.adopted(policy))
        return policy

    # --- while it runs; the recorder's thread ---

    def step(self, adopt: Callable[[Policy], None]) -> bool:
        """Go on with an order: *adopt* is given a policy once its entry is durable.

        Whether an order waits for a commit.
        """
        self._examine_next()
        if self._thread is not None and not self._thread.is_alive():
            examined, self._examined, self._thread = self._examined, None, None
            if examined is not None:
                self._settle(examined)
        logged = self._logged
        if logged is None or self._archive is None:
            return False
        if self._archive.log.checkpoint.size <= logged.seq:
            return True
        self._logged = None
        self.policy = logged.candidate.policy
        adopt(self.policy)
        logged.order.done(Done())
        return False

    def _examine_next(self) -> None:
        if self._thread is not None or self._logged is not None or self._archive is None:
            return
        for order in self._orders.take()[:1]:
            listed = dict(self._archive.sealing.roll.listed)
            words = order, self._archive, listed
            self._thread = threading.Thread(
                target=self._examine, args=words, name="governor", daemon=True
            )
            self._thread.start()

    def _settle(self, examined: _Examined) -> None:
        order, found = examined.order, examined.found
        if self._archive is None:
            order.done(Failure("busy", "stopping"))
            return
        if isinstance(found, StorageFailed):
            order.done(Failure("busy", "no_disk"))
            return
        try:
            if isinstance(found, NotAdopted):
                raise found
            if found.policy.sha256 == self.policy.sha256:
                order.done(Done(changed=False))
                return
            self._judge(found, self._succession)
            self._must_not_wait(found.policy)
        except NotAdopted as error:
            self._log_refusal(error)
            order.done(Failure("refused", f"policy_{error.code}"))
            return
        entry = self._append(self._entry(found))
        self._logged = _Logged(order, entry.seq, found)

    def _must_not_wait(self, policy: Policy) -> None:
        """Raises NotAdopted where a sound card's line begins or ends to be a never-record line: its
        ledger is begun so or so at a start.
        """
        for one in self._config.analogue:
            if self.policy.never_records(one.line) != policy.never_records(one.line):
                raise refused("needs_restart", "-", one.line, policy.sha256)

    # --- the thread of an examination ---

    def _examine(self, order: Order, archive: Archive, listed: dict[str, Listed]) -> None:
        """Verify, compile, store; whatever comes of it is told."""
        request = order.request
        found: Candidate | NotAdopted | StorageFailed
        try:
            if not isinstance(request, AdoptPolicy):
                raise refused("malformed", "-", "-")
            content = adopted_policies.unpacked(request.content)
            signers = self._signers(archive, listed)
            found = adoption.examine(content, request.signature.encode(), signers, self._packs)
            adopted_policies.keep(archive, found)
        except (NotAdopted, StorageFailed) as error:
            found = error
        except OSError as error:
            found = StorageFailed(path="-", reason=error.strerror or str(error))
        except BaseException:
            found = refused("malformed", "-", "-")
            self._examined = _Examined(order, found)
            raise
        self._examined = _Examined(order, found)

    def _signers(
        self, archive: Archive | None, listed: Mapping[str, Listed]
    ) -> Sequence[VerifierKey]:
        """Whose signatures count: the configuration's persons, and the operators *listed*.

        Raises NotAdopted: there is nobody.
        """
        people: list[VerifierKey] = []
        if archive is not None and listed:
            here = operators.cards(archive.data, Roll(dict(listed)))
            people = [
                VerifierKey(name, ED25519, card.operator.verify) for name, card in here.items()
            ]
        try:
            return [*adoption.read_signers(self._config.policy_signers), *people]
        except NotAdopted:
            if people:
                return people
            raise

    # --- the log ---

    @property
    def _opened(self) -> Archive:
        if self._archive is None:
            raise ValueError("no archive is open")
        return self._archive

    @property
    def _succession(self) -> Succession:
        picture = self._opened.picture
        return picture.policies if picture is not None else Succession()

    def _judge(self, candidate: Candidate, known: Succession) -> bool:
        """Whether *candidate* is new; False: it is what was adopted last. Raises NotAdopted."""
        policy = candidate.policy
        if known.is_latest(policy.sha256):
            return False
        code = known.refusal(policy.id, policy.version, policy.sha256)
        if code is not None:
            raise refused(code, self._config.policy, code, policy.sha256)
        return True

    def _append(self, data: dict[str, Any]) -> Entry:
        return self._opened.log.append("policy.adopted", None, data)

    def _log_refusal(self, error: NotAdopted) -> None:
        """Tell the log, once for the same file and cause."""
        said = error.code, error.sha256
        if said == self._refusal:
            return
        self._refusal = said
        data = {"reason": error.code, "policy_sha256": error.sha256 or None}
        self._opened.log.append("policy.refused", None, data)

    def _entry(self, candidate: Candidate) -> dict[str, Any]:
        policy, signed = candidate.policy, candidate.signed
        key = load_log_key(self._opened.data.log_key)
        return {
            **adoption.adopted(policy),
            "by": [key.person(one.key.name.casefold()) for one in signed],
            "keys": [one.key.key_id.hex() for one in signed],
            "signatures": [one.signature.hex() for one in signed],
            "fail_mode": policy.fail_mode,
            "controller": policy.controller,
            "never": _names(name for name, line in policy.lines.items() if line.never),
            **self._difference(candidate),
        }

    def _difference(self, candidate: Candidate) -> dict[str, Any]:
        """The keys that differ from the policy adopted before; nothing where there is none."""
        latest = self._succession.latest
        if latest is None:
            return {}
        try:
            before = adopted_policies.stored(self._opened.data.policies, latest["policy_sha256"])
        except BadPolicy:
            return {}
        found = differences(rules.tables_of(before), rules.tables_of(candidate.content))
        changed = _names(one.key for one in found)
        return {
            "changed": changed,
            "looser": _names(one.key for one in _looser(found)),
            "others": len(found) - len(changed),
        }


def _has_operators(data: Path) -> bool:
    """Whether operators may count among the signers, which only an opened log can say."""
    return (data / "keys" / "operators").is_dir()


def _looser(found: Sequence[Change]) -> list[Change]:
    return [one for one in found if one.effect == LOOSER]


def _names(names: Iterable[str]) -> list[str]:
    return [name for name in names if NAME.holds(name)][:LONGEST_LIST]
