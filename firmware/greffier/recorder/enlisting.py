"""Operators come, change their secret and go; console keys are made at once where that matters.

The effects of docs/operator-keys.md sections 5 and 6, on an archive that nobody else uses. Each
writes its entry first; what a kill left half done is done by the same command again, or by the next
epoch.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from greffier.audit.vouching import PURPOSE
from greffier.clock import day_of
from greffier.errors import (
    AlreadyThere,
    KeyDoesNotOpen,
    NoSuchOperator,
    TpmFailed,
    TpmLost,
)
from greffier.language import translate as _
from greffier.recorder import console_keys
from greffier.recorder.archive import Archive
from greffier.recorder.console_keys import ASKED, FIRST, REMOVED, OperatorKeys
from greffier.recorder.operators import Roll, cards
from greffier.seal import month
from greffier.seal.keys import Opener, PrivateKey, Role
from greffier.trust import operators, pepper, wrapping
from greffier.trust.operators import Operator, Unlocked
from greffier.trust.tpm_chip import Connect, connector
from greffier.trust.wrapping import BadCard, Card, Cost, Kind


@dataclass(frozen=True, slots=True)
class Secret:
    """What an operator unlocks with: its kind, and its octets."""

    kind: Kind
    octets: bytes


@dataclass(frozen=True, slots=True)
class Gone:
    """What a removal did: whether the pepper was destroyed (None: there was none), who is left."""

    operator: str
    pepper: bool | None
    left: int
    console: str | None


def tpm() -> Connect | None:
    """The TPM that guards passphrases, made ready; None where none can."""
    try:
        connect = connector()
        if connect is not None:
            pepper.prepare(connect)
    except (TpmFailed, TpmLost):
        return None
    return connect


def add(
    archive: Archive,
    name: str,
    secret: Secret,
    by: Unlocked | None,
    connect: Connect | None,
    console: PrivateKey | None = None,
) -> Operator:
    """Make *name* an operator, let in by *by*; the first one lets themselves in.

    *console* is the private half of the console key that the device was made with, where it was.
    Raises AlreadyThere, KeyDoesNotOpen (who lets them in does not open the console key in force),
    NoSuchOperator (somebody who is an operator must let them in), StorageFailed, TpmFailed.
    """
    roll = archive.sealing.roll
    here = cards(archive.data, roll)
    path = _path(archive, name)
    if name in here:
        raise AlreadyThere(path=path)
    if roll.listed and (by is None or by.operator.name not in here):
        raise NoSuchOperator(operator=by.operator.name if by else "-")
    opener = _opener(archive, by) if by else None
    _must_open(opener or console, roll)
    _forget_half_made(archive, path)
    unlocked = Unlocked(*new_operator(name))
    card = _write_card(archive, unlocked, secret, connect)
    _log_added(archive, card, unlocked, by)
    if opener is None:
        _begin_month(archive, [unlocked.operator], FIRST)
    else:
        _hand_over(archive, opener, unlocked.operator)
    return unlocked.operator


def rewrap(archive: Archive, unlocked: Unlocked, secret: Secret, connect: Connect | None) -> Card:
    """Give an operator another secret; what they can open stays.

    Raises StorageFailed, TpmFailed.
    """
    path = _path(archive, unlocked.operator.name)
    before = wrapping.parse_card(path.read_bytes(), path.stem)
    card, authorization, drawn = _wrapped(archive, unlocked, secret, connect)
    if card.nv is not None and connect is not None:
        pepper.make(connect, card.nv, authorization, drawn)
    archive.say("operator.rewrapped", {"operator": unlocked.operator.key_id, **_guard(card)})
    archive.log.commit()
    archive.disk.write_file(path, card.to_bytes())
    _destroy_pepper(before)
    return card


def remove(archive: Archive, name: str, by: Unlocked | None = None) -> Gone:
    """Take *name* (or a key id, where the card is lost) out; a new console key is in force after.

    Finishes a removal that was cut short. Raises NoSuchOperator, StorageFailed.
    """
    roll = archive.sealing.roll
    path = _path(archive, name)
    card = _card_at(path)
    key_id = card.operator.key_id if card else name
    listed = key_id in roll.listed
    if not listed and card is None:
        raise NoSuchOperator(operator=name)
    if listed:
        data = {"operator": key_id, "by": by.operator.key_id if by else None}
        archive.say("operator.removed", {key: one for key, one in data.items() if one})
        archive.log.commit()
    destroyed = _destroy_pepper(card) if card else None
    alone = _take_out(archive, key_id)
    here = [one.operator for one in cards(archive.data, roll).values()]
    here = [one for one in here if one.key_id != key_id]
    if here:
        _begin_month(archive, here, REMOVED)
    elif roll.console is not None:
        archive.say("console.closed", {"reason": "no_operator"})
        archive.log.commit()
    remove_months(archive, alone)
    if card is not None:
        archive.disk.remove([path])
    force = roll.console.key_id if roll.console else None
    return Gone(key_id, destroyed, len(here), force)


def rotate(archive: Archive) -> str:
    """A new console key at once; its id. Raises NoSuchOperator where nobody could open it."""
    here = [one.operator for one in cards(archive.data, archive.sealing.roll).values()]
    if not here:
        raise NoSuchOperator(operator="-")
    return _begin_month(archive, here, ASKED)


def remove_unneeded(archive: Archive) -> list[str]:
    """Remove the months that nothing in the shred store needs any more; their key ids.

    For whoever purges, after the keys of parts are gone. Raises StorageFailed, IntegrityError.
    """
    force = archive.sealing.roll.console
    if all(force and one.key_id == force.key_id for one in console_keys.months(archive.data)):
        return []  # most often there is nothing to ask the shred store for
    blocks = (archive.shred.get(name).block for name in archive.shred.names())
    found = console_keys.unneeded(archive.data, force, blocks)
    gone = [one.key_id for one in found]
    remove_months(archive, gone)
    return gone


def remove_months(archive: Archive, gone: Sequence[str]) -> None:
    """Remove the months with these key ids, and say so before. Raises StorageFailed."""
    if not gone:
        return
    paths = [
        console_keys.path_of(archive.data, one)
        for one in console_keys.months(archive.data)
        if one.key_id in gone
    ]
    for at in range(0, len(gone), 512):
        archive.say("console.removed", {"keys": list(gone[at : at + 512])})
    archive.log.commit()
    archive.disk.remove(paths)


def _opener(archive: Archive, by: Unlocked) -> OperatorKeys:
    return OperatorKeys(by, console_keys.months(archive.data))


def _must_open(opener: Opener | None, roll: Roll) -> None:
    force = roll.console.key_id if roll.console and roll.listed else None
    if not roll.ever:
        force = roll.created_console
    if force is None or (opener and opener.find(Role.CONSOLE, bytes.fromhex(force))):
        return
    raise KeyDoesNotOpen(what=_("the console key that is in force"))


def new_operator(name: str) -> tuple[Operator, bytes]:
    """Fresh keys: the public half, and the seed. Raises ValueError for what is no name."""
    seed = wrapping.fresh_seed()
    public = month.operator_pair(seed).public.data
    verify = operators.signing_key(seed).public_key().public_bytes_raw()
    return Operator(name, public, verify), seed


def _wrapped(
    archive: Archive, unlocked: Unlocked, secret: Secret, connect: Connect | None
) -> tuple[Card, bytes, bytes]:
    """The card, and the authorization and the pepper of its index, which is not made yet."""
    nv = pepper.reserve(connect) if connect else None
    salt, cost = wrapping.fresh_salt(), Cost()
    stretched = wrapping.stretch(secret.octets, salt, cost)
    drawn = wrapping.fresh_pepper() if nv else b""
    now = archive.clock.wall_ns()
    card = Card(unlocked.operator, now, secret.kind, salt, cost, nv, b"")
    sealed = wrapping.wrap(card, unlocked.seed, stretched, drawn)
    return sealed, wrapping.authorization(stretched), drawn


def _write_card(
    archive: Archive, unlocked: Unlocked, secret: Secret, connect: Connect | None
) -> Card:
    card, authorization, drawn = _wrapped(archive, unlocked, secret, connect)
    archive.disk.make_dirs(archive.data.operators)
    # Before the index is made: what a kill leaves in the TPM is found again by the card.
    archive.disk.write_file(_path(archive, card.operator.name), card.to_bytes())
    if card.nv is not None and connect is not None:
        pepper.make(connect, card.nv, authorization, drawn)
    return card


def _log_added(archive: Archive, card: Card, unlocked: Unlocked, by: Unlocked | None) -> None:
    witness = by or unlocked
    digest = card.operator.digest
    proof = witness.sign(PURPOSE, bytes.fromhex(digest))
    archive.say(
        "operator.added",
        {
            "operator": card.operator.key_id,
            "card": digest,
            "verify": card.operator.verify.hex(),
            "by": witness.operator.key_id,
            "signature": proof.signature.hex(),
            **_guard(card),
        },
    )
    archive.log.commit()


def _guard(card: Card) -> dict[str, object]:
    return {"wrap": card.kind, "tpm": card.nv is not None}


def _begin_month(archive: Archive, here: Sequence[Operator], why: str) -> str:
    """A new console key for *here*; the file is durable, then the entry."""
    now = archive.clock.wall_ns()
    roll = archive.sealing.roll
    made, _forgotten = console_keys.fresh(archive.data, roll, here, day_of(now), now, why)
    archive.disk.make_dirs(archive.data.months)
    archive.disk.write_file(made.path, made.content)
    archive.say("console.key", made.entry)
    archive.log.commit()
    return made.month.key_id


def _hand_over(archive: Archive, opener: Opener, operator: Operator) -> None:
    """Seal each month that *opener* opens to one operator more."""
    public = month.operator_key(operator.public)
    for one in console_keys.months(archive.data):
        private = opener.find(Role.CONSOLE, one.public.key_id)
        if private is not None:
            more = one.with_one(private, public)
            archive.disk.write_file(console_keys.path_of(archive.data, one), more.to_bytes())


def _take_out(archive: Archive, key_id: str) -> list[str]:
    """Write every month anew without *key_id*; those that nobody else opens are returned."""
    alone = []
    for one in console_keys.months(archive.data):
        if key_id not in one.sealed:
            continue
        rest = one.without(key_id)
        if rest.sealed:
            archive.disk.write_file(console_keys.path_of(archive.data, one), rest.to_bytes())
        else:
            alone.append(one.key_id)
    return alone


def _path(archive: Archive, name: str) -> Path:
    if not operators.is_name(name):
        raise NoSuchOperator(operator="?")
    return archive.data.operators / f"{name}.json"


def _card_at(path: Path) -> Card | None:
    try:
        return wrapping.parse_card(path.read_bytes(), path.stem)
    except (OSError, BadCard):
        return None


def _forget_half_made(archive: Archive, path: Path) -> None:
    """A card that the log does not list is what a kill left, or what somebody put there."""
    card = _card_at(path)
    if card is not None:
        _destroy_pepper(card)
    if path.exists():
        archive.disk.remove([path])


def _destroy_pepper(card: Card) -> bool | None:
    """None: there is none. False: the TPM cannot be asked, or does not have it any more."""
    if card.nv is None:
        return None
    with suppress(TpmFailed, TpmLost):
        connect = connector()
        if connect is not None:
            return pepper.remove(connect, card.nv)
    return False
