"""No key seals two texts under one nonce: a short version of `./build.sh soak nonces`, and mutants
that it must catch."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from greffier.errors import StorageFailed
from greffier.recorder.committer import Committer
from greffier.store.journal import Journal
from greffier_sim.soak_nonces import A_BOX, Seen, run

COUNT = 300


def quiet(_: str) -> None:
    """Nobody watches."""


def noticed() -> bool:
    """Whether some row of schedules shows a nonce that was used twice: about one in twenty does."""
    return any(run(A_BOX, seed, quiet).repeated for seed in range(400))


def test_no_nonce_is_used_twice_whatever_the_disk_does() -> None:
    found = run(COUNT, 1, quiet)
    assert found.schedules == COUNT
    assert found.repeated == 0
    assert found.failed_calls > 50 and set(found.faults) == {
        "LOST",
        "KEPT",
        "SHORT",
        "CUT",
        "CUT_AFTER",
    }
    assert found.messages > COUNT and found.octets > 100 * COUNT


def test_a_record_in_place_of_one_that_failed_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[[Journal], None] = Journal.commit

    def commit(self: Journal) -> None:
        try:
            real(self)
        except StorageFailed:
            self._number -= len(self._waiting)
            self._waiting, self._written = [], 0
            raise

    monkeypatch.setattr(Journal, "commit", commit)
    assert noticed()


def test_frames_in_place_of_some_that_failed_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[[Committer, Any], None] = Committer._write

    def write(self: Committer, part: Any) -> None:
        try:
            real(self, part)
        except StorageFailed:
            del part.waiting[part.written :]
            raise

    monkeypatch.setattr(Committer, "_write", write)
    assert noticed()


def test_the_same_text_again_is_no_second_one() -> None:
    seen = Seen()
    draw = random.Random(1)
    key, nonce = draw.randbytes(32), draw.randbytes(12)
    seen.encrypted(key, nonce, b"text")
    seen.encrypted(key, nonce, b"text")
    seen.written("p", 0, b"abc")
    seen.written("p", 1, b"bcd")
    assert seen.repeated == 0 and bytes(seen.parts["p"]) == b"abcd"
    seen.encrypted(key, nonce, b"other")
    seen.written("p", 2, b"x")
    assert seen.repeated == 2
    with pytest.raises(ValueError, match="hole"):
        seen.written("p", 9, b"x")
