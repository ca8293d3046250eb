"""32 octets in a TPM that only an operator's passphrase gets, and only a few wrong ones.

docs/operator-keys.md section 4. The index is subject to the TPM's dictionary-attack lockout; the
password that would forgive wrong guesses is drawn once and forgotten.
"""

import secrets

from greffier.errors import TpmFailed, TpmLost
from greffier.language import translate as _
from greffier.trust.tpm_chip import Chip, Connect
from greffier.trust.tpm_wire import AUTH_READ, AUTH_WRITE, WRITE_ALL, WRITTEN, Guessing, Index
from greffier.trust.wrapping import FIRST_HANDLE, LAST_HANDLE, PEPPER_BYTES, Nv

ATTRIBUTES = AUTH_READ | AUTH_WRITE | WRITE_ALL
MOST_WRONG, INTERVAL_S, RECOVERY_S = 10, 7_200, 86_400
FEWEST_S, LARGEST_MOST = 600, 32
"""What somebody else's parameters must at least be, so that a chosen passphrase may be taken."""


def prepare(connect: Connect) -> Guessing:
    """See to it that this TPM counts guesses, and that nobody can tell it to forget them.

    Raises TpmFailed: it cannot be used for passphrases.
    """
    with Chip(connect) as chip:
        found = chip.guessing()
        if not found.sealed:
            # In this order: a cut between the two is begun again.
            chip.bound_guessing(MOST_WRONG, INTERVAL_S, RECOVERY_S)
            chip.seal_lockout(secrets.token_bytes(32))
            found = chip.guessing()
    enough = found.interval_s >= FEWEST_S or found.interval_s == 0  # 0: it never forgives by itself
    if not found.sealed or not 1 <= found.most_wrong <= LARGEST_MOST or not enough:
        raise TpmFailed(reason=_("it lets passwords be guessed too often"))
    return found


def reserve(connect: Connect) -> Nv:
    """A place that nobody has, with a fresh tag; nothing is made yet. Raises TpmFailed."""
    with Chip(connect) as chip:
        for handle in range(FIRST_HANDLE, LAST_HANDLE + 1):
            if chip.look(handle) is None:
                return Nv(handle, secrets.token_bytes(32))
    raise TpmFailed(reason=_("all indices for operators are taken, free one with tpm2_nvundefine"))


def make(connect: Connect, place: Nv, authorization: bytes, pepper: bytes) -> None:
    """Make the index at *place* and write *pepper* (32 octets) there. Raises TpmFailed."""
    with Chip(connect) as chip:
        if not chip.define(_index(place), authorization):
            raise TpmFailed(
                reason=_("NV index {index} was just taken").format(index=f"{place.handle:08x}")
            )
        chip.write(place.handle, pepper, authorization)


def read(connect: Connect, place: Nv, authorization: bytes) -> bytes:
    """The pepper at *place*.

    Raises WrongPassword, TooManyGuesses, TpmFailed; TpmLost where the index is not there, or is
    somebody else's.
    """
    with Chip(connect) as chip:
        index = chip.look(place.handle)
        if index is None or not _is_ours(index, place):
            raise TpmLost(reason=_("it was cleared, or is another one"))
        pepper = chip.read(place.handle, PEPPER_BYTES, authorization)
    if pepper is None or len(pepper) != PEPPER_BYTES:
        raise TpmLost(reason=_("an operator's index was never written"))
    return pepper


def remove(connect: Connect, place: Nv) -> bool:
    """Destroy the pepper at *place*; False where it is not there any more. Raises TpmFailed."""
    with Chip(connect) as chip:
        index = chip.look(place.handle)
        if index is None or not _is_ours(index, place):
            return False
        chip.undefine(place.handle)
    return True


def _index(place: Nv, written: int = 0) -> Index:
    # The tag stands where a policy would: no attribute lets a policy open the index, and what
    # stands there is public, so that we know our own before we destroy it.
    return Index(place.handle, ATTRIBUTES | written, PEPPER_BYTES, policy=place.tag)


def _is_ours(index: Index, place: Nv) -> bool:
    return index == _index(place, index.attributes & WRITTEN)
