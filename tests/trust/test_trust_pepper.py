"""A thief with the whole box cannot guess: the TPM counts, locks, and is not told to forget."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from greffier.errors import TpmFailed, TpmLost
from greffier.trust import pepper
from greffier.trust.tpm import ATTRIBUTES, TpmRoot, find_place
from greffier.trust.tpm_chip import Chip, TooManyGuesses, WrongPassword
from greffier.trust.tpm_wire import Index
from greffier.trust.wrapping import FIRST_HANDLE, Nv
from greffier_sim.emulated_tpm import EmulatedTpm
from greffier_sim.soak_missing import Missing

RIGHT, WRONG, PEPPER = b"r" * 32, b"w" * 32, bytes(range(32))


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[EmulatedTpm]:
    made = EmulatedTpm(tmp_path / "tpm")
    try:
        made.start()
    except Missing as error:
        pytest.skip(str(error))
    yield made
    made.stop()


def kept(tpm: EmulatedTpm) -> Nv:
    pepper.prepare(tpm.connect)
    place = pepper.reserve(tpm.connect)
    pepper.make(tpm.connect, place, RIGHT, PEPPER)
    return place


def guesses_until_it_locks(tpm: EmulatedTpm, place: Nv) -> int:
    for number in range(40):
        try:
            pepper.read(tpm.connect, place, WRONG)
        except WrongPassword:
            continue
        except TooManyGuesses:
            return number
    raise AssertionError("it never locks")


def test_wrong_guesses_lock_it_for_everybody_and_no_tool_unlocks_it(tpm: EmulatedTpm) -> None:
    place = kept(tpm)
    assert pepper.read(tpm.connect, place, RIGHT) == PEPPER
    assert guesses_until_it_locks(tpm, place) == pepper.MOST_WRONG
    with pytest.raises(TooManyGuesses):
        pepper.read(tpm.connect, place, RIGHT)
    # What a thief has: the empty password of the owner, of the platform, and of the lockout before.
    for words in (
        ("tpm2_dictionarylockout", "--clear-lockout"),
        ("tpm2_dictionarylockout", "--setup-parameters", "--max-tries=4294967295"),
        ("tpm2_changeauth", "-c", "lockout", "mine"),
        ("tpm2_nvread", f"{place.handle:#x}", "-C", "o"),
        ("tpm2_nvread", f"{place.handle:#x}", "-C", f"{place.handle:#x}"),
    ):
        assert tpm.tool(*words).returncode != 0, words
    tpm.kill()
    tpm.start()  # cutting the power does not forgive
    with pytest.raises(TooManyGuesses):
        pepper.read(tpm.connect, place, RIGHT)
    assert PEPPER not in tpm.tool("tpm2_nvread", f"{place.handle:#x}").stdout


def test_the_key_that_deleting_overwrites_is_read_while_guesses_are_locked_out(
    tpm: EmulatedTpm,
) -> None:
    root = TpmRoot(find_place(tpm.connect), tpm.connect)
    root.make()
    root.replace(PEPPER)
    guesses_until_it_locks(tpm, kept(tpm))
    assert root.read() == PEPPER
    root.replace(RIGHT)
    root.unmake()


def test_who_clears_the_tpm_has_destroyed_the_pepper(tpm: EmulatedTpm) -> None:
    place = kept(tpm)
    assert tpm.tool("tpm2_clear", "-c", "p").returncode == 0
    with pytest.raises(TpmLost):
        pepper.read(tpm.connect, place, RIGHT)
    assert pepper.remove(tpm.connect, place) is False


def test_nobodys_index_but_our_own_is_destroyed(tpm: EmulatedTpm) -> None:
    place = kept(tpm)
    other = replace(place, tag=bytes(32))
    assert pepper.remove(tpm.connect, other) is False
    with pytest.raises(TpmLost):
        pepper.read(tpm.connect, other, RIGHT)
    assert pepper.read(tpm.connect, place, RIGHT) == PEPPER
    assert pepper.remove(tpm.connect, place) is True
    assert pepper.remove(tpm.connect, place) is False


def test_an_index_that_was_never_written_or_was_just_taken_is_said(tpm: EmulatedTpm) -> None:
    place = kept(tpm)
    with pytest.raises(TpmFailed):
        pepper.make(tpm.connect, place, RIGHT, PEPPER)
    with Chip(tpm.connect) as chip:
        blank = Nv(FIRST_HANDLE + 7, bytes(range(32)))
        chip.define(Index(blank.handle, pepper.ATTRIBUTES, 32, policy=blank.tag), RIGHT)
        chip.define(Index(FIRST_HANDLE + 8, ATTRIBUTES, 68))
    with pytest.raises(TpmLost):
        pepper.read(tpm.connect, blank, RIGHT)
    with pytest.raises(TpmLost):
        pepper.read(tpm.connect, replace(blank, handle=FIRST_HANDLE + 8), RIGHT)


def test_a_tpm_whose_owner_lets_guess_often_guards_nothing(tpm: EmulatedTpm) -> None:
    for words in (
        ("tpm2_dictionarylockout", "--setup-parameters", "--max-tries=1000", "--recovery-time=1"),
        ("tpm2_changeauth", "-c", "lockout", "theirs"),
    ):
        assert tpm.tool(*words).returncode == 0
    with pytest.raises(TpmFailed, match="TPM"):
        pepper.prepare(tpm.connect)


def test_a_tpm_whose_owner_counts_well_is_taken_as_it_is(tpm: EmulatedTpm) -> None:
    for words in (
        ("tpm2_dictionarylockout", "--setup-parameters", "--max-tries=5", "--recovery-time=3600"),
        ("tpm2_changeauth", "-c", "lockout", "theirs"),
    ):
        assert tpm.tool(*words).returncode == 0
    found = pepper.prepare(tpm.connect)
    assert (found.sealed, found.most_wrong, found.interval_s) == (True, 5, 3600)


def test_a_cut_between_counting_and_sealing_is_begun_again(tpm: EmulatedTpm) -> None:
    with Chip(tpm.connect) as chip:
        chip.bound_guessing(pepper.MOST_WRONG, pepper.INTERVAL_S, pepper.RECOVERY_S)
    assert pepper.prepare(tpm.connect).sealed
    with Chip(tpm.connect) as chip, suppress(TpmFailed):
        chip.seal_lockout(b"")
        raise AssertionError("the lockout took another password without the one it has")
