"""The effaceable key in a real (emulated) TPM: old or new at any cut, and never silently another.

swtpm keeps its state in a file, so its SIGKILL is a power cut, and the file shows what is left.
"""

import os
import random
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from greffier.errors import GreffierError, IntegrityError, StorageFailed, TpmFailed
from greffier.trust import tpm_wire
from greffier.trust.tpm import ATTRIBUTES, CELL_SIZE, Cell, Place, TpmRoot, find_place
from greffier.trust.tpm_chip import Chip, Connect, Link, SocketLink, connector
from greffier.trust.tpm_wire import Index
from greffier_sim.emulated_tpm import HOST, EmulatedTpm
from greffier_sim.soak_missing import Missing

OLD, NEW = b"o" * 32, b"n" * 32
FIRST, SECOND = 0x01500010, 0x01500011


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[EmulatedTpm]:
    made = EmulatedTpm(tmp_path / "tpm")
    try:
        made.start()
    except Missing as error:
        pytest.skip(str(error))
    yield made
    made.stop()


def new_root(tpm: EmulatedTpm) -> TpmRoot:
    root = TpmRoot(find_place(tpm.connect), tpm.connect)
    root.make()
    return root


def place_of(root: TpmRoot) -> Place:
    return root._place


def test_the_root_is_what_was_put_last_a_hundred_times(tpm: EmulatedTpm) -> None:
    root = new_root(tpm)
    with pytest.raises(IntegrityError):
        root.read()
    for number in range(100):
        root.replace(bytes([number]) * 32)
        assert root.read() == bytes([number]) * 32
    assert (root.replacements(), root.peek(), root.class_name) == (100, [bytes([99]) * 32], "A")
    with pytest.raises(ValueError, match="32 bytes"):
        root.replace(b"short")
    tpm.kill()
    tpm.start()
    assert TpmRoot(place_of(root), tpm.connect).read() == bytes([99]) * 32


def test_the_old_key_is_not_in_what_the_tpm_keeps(tpm: EmulatedTpm) -> None:
    root = new_root(tpm)
    root.replace(bytes(range(32)))
    assert tpm.state.count(bytes(range(32))) == 2  # the positive control: both copies, in the clear
    root.replace(bytes(range(100, 132)))
    assert tpm.state.count(bytes(range(32))) == 0
    assert tpm.state.count(bytes(range(100, 132))) == 2
    assert not [path for path in tpm.folder.iterdir() if bytes(range(32)) in path.read_bytes()]


def test_tpm2_tools_see_the_same(tpm: EmulatedTpm) -> None:
    root = new_root(tpm)
    root.replace(NEW)
    for handle in ("0x01500010", "0x01500011"):
        assert Cell.parse(tpm.tool("tpm2_nvread", handle).stdout).key == NEW
        about = tpm.tool("tpm2_nvreadpublic", handle).stdout.decode()
        assert "authwrite|writeall|authread|no_da|written" in about
        assert f"size: {CELL_SIZE}" in about
        refused = tpm.tool("tpm2_nvread", "-C", "o", handle)
        assert refused.returncode != 0  # only by its own authorization, which is empty


# --- power cuts ---


class CutLink:
    """Cuts the power of the TPM at one command: before it, in it, or before its answer is read."""

    def __init__(self, tpm: EmulatedTpm, at: int, when: str, pause_s: float = 0.0) -> None:
        self._tpm, self._at, self._when, self._pause = tpm, at, when, pause_s
        self._link = SocketLink(HOST, tpm.port)
        self.count = 0

    def transmit(self, command: bytes) -> bytes:
        self.count += 1
        if self.count != self._at:
            return self._link.transmit(command)
        if self._when == "in":
            self._link._socket.sendall(command)
            time.sleep(self._pause)
        elif self._when == "after":
            self._link.transmit(command)
        self._tpm.kill()
        raise ConnectionResetError

    def close(self) -> None:
        self._link.close()


def cut(tpm: EmulatedTpm, root: TpmRoot, at: int, when: str, pause_s: float = 0.0) -> bool:
    """Replace OLD by NEW with a cut; whether there was one. The state after it is checked."""
    root.replace(OLD)
    links: list[CutLink] = []

    def connect() -> Link:
        links.append(CutLink(tpm, at, when, pause_s))
        return links[-1]

    try:
        TpmRoot(place_of(root), connect).replace(NEW)
    except TpmFailed:
        tpm.start()
    again = TpmRoot(place_of(root), tpm.connect)
    answer = again.read()
    assert answer in (OLD, NEW)
    assert again.peek() == [answer]  # the copy that was behind is up to date
    if answer == NEW:
        assert tpm.state.count(OLD) == 0
    return links[0].count >= at


@pytest.mark.parametrize("when", ["before", "in", "after"])
def test_at_every_cut_the_key_is_old_or_new_and_an_answer_is_final(
    tpm: EmulatedTpm, when: str
) -> None:
    root, at = new_root(tpm), 1
    while cut(tpm, root, at, when):
        at += 1
    assert at > 8  # looked at and read each index, then looked and wrote each


def test_a_cut_at_any_instant_of_a_write_leaves_no_third_key(tpm: EmulatedTpm) -> None:
    root, chance = new_root(tpm), random.Random(1)
    for _ in range(20):
        assert cut(tpm, root, chance.choice([6, 8]), "in", chance.uniform(0, 0.003))


def test_a_write_torn_anywhere_is_mended_from_the_other_index(tpm: EmulatedTpm) -> None:
    """What no specification rules out, and swtpm does not do."""
    root = new_root(tpm)
    root.replace(OLD)
    old = Cell(1, place_of(root).store, OLD).to_bytes()
    new = Cell(2, place_of(root).store, NEW).to_bytes()
    for at in range(CELL_SIZE + 1):
        for torn in (new[:at] + old[at:], old[:at] + new[at:], new[:at] + b"\xff" * (68 - at)):
            for handle, other, sound in ((FIRST, SECOND, old), (SECOND, FIRST, new)):
                with Chip(tpm.connect) as chip:
                    chip.write(handle, torn)
                    chip.write(other, sound)
                expected = NEW if new in (torn, sound) else OLD
                assert root.read() == expected
                assert root.peek() == [expected]


# --- what may be wrong with a TPM: one clear line each, and nothing destroyed ---


def message_of(deed: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(GreffierError) as told:
        deed()
    assert "\n" not in str(told.value)
    return told.value.exit_code, str(told.value)


def fails(root: TpmRoot, code: int, *words: str) -> None:
    """Every call fails alike, with that exit code and these words."""
    for deed in (root.read, root.peek, lambda: root.replace(NEW), root.replacements):
        got, line = message_of(deed)
        assert got == code, line
        for word in words:
            assert word in line


def test_a_tpm_that_is_gone(tpm: EmulatedTpm) -> None:
    root = new_root(tpm)
    root.replace(OLD)
    tpm.stop()
    fails(root, 10, "TPM cannot be used", "refused")
    tpm.start()
    assert TpmRoot(place_of(root), tpm.connect).read() == OLD


def test_a_device_file_that_is_missing_or_none(tmp_path: Path) -> None:
    place = Place(bytes(16), (FIRST, SECOND))
    missing = connector(f"device:{tmp_path}/tpmrm0")
    assert missing is not None
    fails(TpmRoot(place, missing), 10, "No such file", "/dev/tpmrm0")
    wrong = connector("device:/dev/null")
    assert wrong is not None
    fails(TpmRoot(place, wrong), 10, "makes no sense")


def test_a_device_file_takes_a_command_and_gives_an_answer(tpm: EmulatedTpm) -> None:
    """A pseudo-terminal stands for the kernel's device: one write in, one read out."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    name = os.ttyname(theirs)
    said: list[bytes] = []

    def serve() -> None:
        link = SocketLink(HOST, tpm.port)
        while (command := os.read(ours, 4096)) != b"over":
            said.append(command)
            os.write(ours, link.transmit(command))
        link.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        connect = connector(f"device:{name}", patience_s=120)
        assert connect is not None
        root = TpmRoot(find_place(connect), connect)
        root.make()
        root.replace(NEW)
        assert root.read() == NEW
        assert len(said) > 10
    finally:
        os.write(theirs, b"over")
        thread.join(120)
        os.close(ours)
        os.close(theirs)
    assert not thread.is_alive()
    assert TpmRoot(place_of(root), tpm.connect).read() == NEW


def test_a_tpm_that_another_program_holds(tpm: EmulatedTpm) -> None:
    root = new_root(tpm)
    root.replace(OLD)
    soon = connector(tpm.words, patience_s=0.1)
    assert soon is not None
    with socket.create_connection((HOST, tpm.port)):  # swtpm serves one at a time
        fails(TpmRoot(place_of(root), soon), 11, "busy", "does not answer")
    # What waited in its queue is asked after, and the key that counts is what then is read.
    assert root.read() in (OLD, NEW)


def answering(*answers: bytes) -> tuple[Connect, list[bytes]]:
    """A TPM of which only these answers come, the last again and again; and what it was sent."""
    left, sent = list(answers), []

    class Said:
        def transmit(self, command: bytes) -> bytes:
            sent.append(command)
            return left.pop(0) if len(left) > 1 else left[0]

        def close(self) -> None:
            pass

    return Said, sent


def refusal(code: int) -> bytes:
    return b"\x80\x01\0\0\0\x0a" + code.to_bytes(4, "big")


@pytest.mark.parametrize(
    ("code", "exit_code", "words"),
    [
        (0x921, 10, "locked out"),
        (0x101, 10, "failure mode"),
        (0x100, 10, "not started"),
        (0x9A2, 10, "password"),
        (0x7FF, 10, "0x7ff"),
        (0x922, 11, "again later"),
        (0x920, 11, "again later"),
    ],
)
def test_a_tpm_that_refuses(
    code: int, exit_code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greffier.trust.tpm_chip._PAUSE_S", 0.0)
    connect, _sent = answering(refusal(code))
    fails(TpmRoot(Place(bytes(16), (FIRST, SECOND)), connect), exit_code, words)


def test_a_busy_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greffier.trust.tpm_chip._PAUSE_S", 0.0)
    connect, sent = answering(refusal(0x922), refusal(0x90A), refusal(0x18B))
    with Chip(connect) as chip:
        assert chip.look(FIRST) is None
    assert sent == [tpm_wire.look_at(FIRST).data] * 3


def test_a_tpm_in_lockout_still_serves_the_key(tpm: EmulatedTpm) -> None:
    """The index has no password to guess, so nobody can shut the recorder out by guessing."""
    root = new_root(tpm)
    root.replace(OLD)
    tpm.tool("tpm2_dictionarylockout", "-s", "-n", "1", "-t", "1000", "-l", "1000")
    tpm.tool("tpm2_nvdefine", "0x01500040", "-s", "8", "-p", "x", "-a", "authread|authwrite")
    tpm.tool("tpm2_nvread", "-P", "wrong", "0x01500040")
    locked = tpm.tool("tpm2_nvread", "-P", "x", "0x01500040")
    assert b"0x921" in locked.stderr  # the positive control
    root.replace(NEW)
    assert root.read() == NEW


def test_a_tpm_that_was_cleared(tpm: EmulatedTpm) -> None:
    root = new_root(tpm)
    root.replace(OLD)
    assert tpm.tool("tpm2_clear", "-c", "p").returncode == 0
    fails(root, 20, "does not hold the key", "cleared", "no new store is begun")
    with Chip(tpm.connect) as chip:
        assert chip.look(FIRST) is None  # nothing was begun


def test_another_tpm(tpm: EmulatedTpm, tmp_path: Path) -> None:
    root = new_root(tpm)
    root.replace(OLD)
    with EmulatedTpm(tmp_path / "other") as other:
        fails(TpmRoot(place_of(root), other.connect), 20, "cleared, or is another one")
        foreign = new_root(other)
        foreign.replace(NEW)
        fails(TpmRoot(place_of(root), other.connect), 20, "another data directory")
        assert foreign.read() == NEW
    assert root.read() == OLD


def test_one_missing_index_is_made_again_from_the_other(tpm: EmulatedTpm) -> None:
    root = new_root(tpm)
    root.replace(OLD)
    for handle in (FIRST, SECOND):
        with Chip(tpm.connect) as chip:
            chip.undefine(handle)
        assert root.read() == OLD
        with Chip(tpm.connect) as chip:
            assert chip.read(handle, CELL_SIZE) == Cell(1, place_of(root).store, OLD).to_bytes()


@pytest.mark.parametrize(
    ("size", "attributes"),
    [(32, ATTRIBUTES), (69, ATTRIBUTES), (68, ATTRIBUTES & ~(1 << 25)), (68, ATTRIBUTES | 2)],
    ids=["shorter", "longer", "lockable", "owner may write"],
)
def test_an_index_of_another_kind_is_left_alone(
    tpm: EmulatedTpm, size: int, attributes: int
) -> None:
    root = new_root(tpm)
    root.replace(OLD)
    with Chip(tpm.connect) as chip:
        chip.undefine(FIRST)
        assert chip.define(Index(FIRST, attributes, size))
        chip.write(FIRST, b"x" * size)
    fails(root, 20, "01500010", "another kind")
    with Chip(tpm.connect) as chip:
        assert chip.read(FIRST, size) == b"x" * size
        assert chip.read(SECOND, CELL_SIZE) == Cell(1, place_of(root).store, OLD).to_bytes()
    with pytest.raises(IntegrityError):
        root.unmake()


def test_a_second_store_takes_other_indices_and_neither_harms_the_other(tpm: EmulatedTpm) -> None:
    roots = [new_root(tpm) for _ in range(8)]
    for number, root in enumerate(roots):
        root.replace(bytes([number]) * 32)
    code, line = message_of(lambda: new_root(tpm))
    assert (code, "tpm2_nvundefine" in line) == (10, True)
    roots[3].unmake()
    roots[3].unmake()  # a second time there is nothing to do
    new_root(tpm).replace(NEW)
    for number, root in enumerate(roots):
        if number != 3:
            assert root.read() == bytes([number]) * 32
    with pytest.raises(IntegrityError):
        roots[3].read()


def test_an_owner_password_keeps_a_store_from_being_made_but_not_from_being_used(
    tpm: EmulatedTpm,
) -> None:
    root = new_root(tpm)
    root.replace(OLD)
    assert tpm.tool("tpm2_changeauth", "-c", "owner", "secret").returncode == 0
    root.replace(NEW)
    assert root.read() == NEW
    code, line = message_of(lambda: new_root(tpm))
    assert (code, "password" in line) == (10, True)


@pytest.mark.parametrize("words", ["", "device:/dev/tpmrm0", None])
def test_without_words_it_is_the_kernels_resource_manager(
    words: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GREFFIER_TPM")
    assert connector(words) is not None
    monkeypatch.setenv("GREFFIER_TPM", "none")
    assert connector() is None


@pytest.mark.parametrize(
    "words", ["device:tpm0", "swtpm:", "swtpm:host=h,port=66000", "mssim:host=h,port=1", "tabrmd:"]
)
def test_an_address_of_another_kind_is_said(words: str) -> None:
    with pytest.raises(StorageFailed, match="GREFFIER_TPM"):
        connector(words)
