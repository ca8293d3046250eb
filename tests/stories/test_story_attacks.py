"""Someone has the whole disk, to read it or to change it."""

import base64
import random
import re
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.stories.box import DESK, PAIR, Box, coded, command

from greffier import canonical
from greffier.durable import Disk
from greffier.seal import envelope, keys
from greffier.seal.envelope import DoesNotOpen, What
from greffier.seal.header import BadPart, WrongKey
from greffier.seal.keys import PrivateKey, Role
from greffier.seal.reader import Reader
from greffier.store import journal, layout
from greffier.store.journal import BadJournal
from greffier.store.shred_format import PART, Name
from greffier_sim import captures
from greffier_sim.captures import Plan

PLAN = Plan(talk_ms=60, ring_ms=40)
NUMBERS = ("+33140506070", "+33170819200")
draw = random.Random(7)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Box:
    """Two drawn calls and one that the law demands, in three recordings."""
    box = Box(tmp_path_factory.mktemp("scene"))
    policy = coded(box.folder, "original")
    plans = [replace(PLAN, call_id=f"c{n}@sim", start_ns=PLAN.start_ns + n * 10**10)
             for n in range(2)]  # fmt: skip
    box.calls([one for plan in plans for one in captures.call(plan)], policy=policy)
    box.call(captures.call(PLAN), "desk", DESK)
    return box


@pytest.fixture
def copy(scene: Box, tmp_path: Path) -> Box:
    """The same directory, to be spoiled."""
    made = object.__new__(Box)
    made.folder, made.data, made.key, made.files = tmp_path, tmp_path / "data", scene.key, 0
    shutil.copytree(scene.data, made.data)
    return made


_KNOWN: list[str] = []
"""The recordings of the scene, also of copies whose index is spoiled."""


@pytest.fixture(autouse=True)
def known(scene: Box) -> None:
    if not _KNOWN:
        _KNOWN.extend(call["recording"] for call in scene.listed())


def codes(box: Box) -> list[int]:
    """Try to export every recording; nothing may be written unless it succeeds."""
    found = []
    for number, recording in enumerate(_KNOWN):
        path = box.folder / f"try-{number}.wav"
        path.unlink(missing_ok=True)
        said = box.export(recording, path)
        assert path.exists() == (said.code == 0), said.err
        assert said.code == 0 or said.complaint
        found.append(said.code)
    return found


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def test_the_scene_is_whole(scene: Box) -> None:
    assert codes(scene) == [0, 0, 0] and scene.verified()["ok"]


def test_no_flipped_bit_of_a_part_is_accepted(copy: Box) -> None:
    for path in copy.parts:
        good = path.read_bytes()
        bits = draw.sample(range(len(good) * 8), 25)
        for bit in [*bits, 0, len(good) * 8 - 1]:
            flip(path, bit)
            found = codes(copy)
            assert sorted(found) == [0, 0, 20], (path, bit)
            path.write_bytes(good)
        flip(path, len(good) * 4)
        assert "part.altered" in problems(copy)
        path.write_bytes(good)
    assert codes(copy) == [0, 0, 0]


def problems(box: Box) -> set[str]:
    return {one["code"] for one in box.verified()["problems"]}


def test_no_shortened_part_is_accepted(copy: Box) -> None:
    path = copy.parts[0]
    good = path.read_bytes()
    for length in [0, 1, 8, 87, 88, *draw.sample(range(len(good)), 20), len(good) - 1]:
        path.write_bytes(good[:length])
        assert sorted(codes(copy)) == [0, 0, 20], length
    path.write_bytes(good + b"\0")
    assert sorted(codes(copy)) == [0, 0, 20]
    assert problems(copy) == {"part.altered"}
    path.unlink()
    assert sorted(codes(copy)) == [0, 0, 20]
    assert problems(copy) == {"part.missing"}


def test_no_exchanged_part_is_accepted(copy: Box) -> None:
    one, other = copy.parts[:2]
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    assert sorted(codes(copy)) == [0, 20, 20]
    assert "part.altered" in problems(copy)
    header = 200
    one.write_bytes(first[:header] + second[header:])
    other.write_bytes(second)
    assert sorted(codes(copy)) == [0, 0, 20]
    shutil.copy(other, other.with_name("0" * 32 + ".gpart"))
    one.write_bytes(first)
    assert codes(copy) == [0, 0, 0]
    assert problems(copy) == {"part.unknown"}


def test_an_envelope_of_another_part_does_not_help(copy: Box) -> None:
    """The clear envelope block of a duty's file is bound to its part."""
    (duty,) = [path for path in copy.parts if Reader(path.read_bytes()).header.envelopes]
    header = Reader(duty.read_bytes()).header
    (other,) = [path for path in copy.parts if path != duty][:1]
    with layout.open(copy.data).lock(Disk()):
        store = layout.open(copy.data).shred_store(Disk())
        foreign = store.get(Name(PART, bytes.fromhex(other.stem))).block
        store.close()
    with pytest.raises(DoesNotOpen):
        envelope.open_block(foreign, What.PART, header.part_id, PAIR)
    path = copy.folder / "block"
    path.write_bytes(foreign)
    voluntary = ("open", other, "--key", copy.key, "--json")
    assert command(*voluntary, program="greffier-office").code == 0
    shutil.copy(other, copy.folder / "away.gpart")
    away = ("open", copy.folder / "away.gpart", "--key", copy.key, "--json")
    assert command(*away, program="greffier-office").code == 12
    assert command(*away, "--envelope", path, program="greffier-office").code == 0
    spoiled = bytearray(foreign)
    spoiled[100] ^= 1
    path.write_bytes(spoiled)
    assert command(*away, "--envelope", path, program="greffier-office").code == 20


def shredded(box: Box) -> Iterator[tuple[Path, Path]]:
    for path in sorted((box.data / "shred" / "a").iterdir()):
        yield path, box.data / "shred" / "b" / path.name


def test_one_spoiled_copy_of_the_shred_store_costs_nothing(copy: Box) -> None:
    for pair in list(shredded(copy)):
        for path in pair:
            good = path.read_bytes()
            flip(path, draw.randrange(len(good) * 8))
            assert codes(copy) == [0, 0, 0], path
            path.unlink()
            assert codes(copy) == [0, 0, 0], path
            path.write_bytes(good)


def test_a_shred_store_spoiled_twice_opens_nothing_that_depends_on_it(copy: Box) -> None:
    backup = copy.folder / "backup"
    shutil.copytree(copy.data, backup)
    for name in [path.name for path, _ in shredded(copy)]:
        for spoil in (lambda path: flip(path, path.stat().st_size * 4), Path.unlink):
            for copied in ("a", "b"):
                spoil(copy.data / "shred" / copied / name)
            found = codes(copy)
            assert set(found) <= {0, 12, 20}, (name, found)
            if name.startswith(("root", "effaceable")):
                assert set(found) == {20}, name
            shutil.rmtree(copy.data)
            shutil.copytree(backup, copy.data)


def test_a_key_that_was_destroyed_is_gone(copy: Box) -> None:
    """Voluntary parts open with the shred store's entry only, mandatory ones with the file too."""
    with layout.open(copy.data).lock(Disk()):
        store = layout.open(copy.data).shred_store(Disk())
        done = store.destroy(Name(PART, bytes.fromhex(path.stem)) for path in copy.parts)
        assert len(done.names) == 3
        store.close()
    assert sorted(codes(copy)) == [0, 12, 12]


def test_spoiled_journals_are_never_silently_believed(copy: Box) -> None:
    good = copy.listed("--key", copy.key)
    for path in (copy.data / "vault" / "calls").iterdir():
        content = path.read_bytes()
        for bit in draw.sample(range(len(content) * 8), 12):
            flip(path, bit)
            said = command("calls", "--data", copy.data, "--key", copy.key, "--json")
            assert said.code == 20 or said.json["calls"] == good, (path, bit)
            assert said.code == 0 or (said.complaint and not said.out)
            path.write_bytes(content)
        path.unlink()
        said = command("calls", "--data", copy.data, "--key", copy.key, "--json")
        assert said.code == 20
        path.write_bytes(content)


def test_a_clear_part_that_was_rewritten_is_found_with_the_key(copy: Box) -> None:
    """Its checksum is right; only the seal tells."""
    path = sorted((copy.data / "vault" / "calls").iterdir())[0]
    data = path.read_bytes()
    record = journal.read(data).records[0]
    clear = canonical.dump(dict(record.clear))
    changed = clear.replace(b'"full"', b'"none"')
    assert len(changed) == len(clear) and changed != clear
    at = data.index(clear)
    length = struct.unpack(">I", data[record.offset : record.offset + 4])[0]
    body = data[record.offset + 8 : record.offset + 8 + length].replace(clear, changed)
    crc = struct.pack(">I", zlib.crc32(data[record.offset : record.offset + 4] + body))
    path.write_bytes(data[: record.offset + 4] + crc + body + data[record.offset + 8 + length :])
    assert path.read_bytes()[at : at + len(clear)] == changed
    assert command("index", "rebuild", "--data", copy.data).code == 0
    said = command("calls", "--data", copy.data, "--key", copy.key, "--json")
    assert said.code == 20 and said.complaint


def test_a_spoiled_index_is_one_line_and_can_be_made_anew(copy: Box) -> None:
    good = copy.listed("--key", copy.key)
    path = copy.data / "index.sqlite"
    content = path.read_bytes()
    for turn in range(12):
        if turn % 2:
            flip(path, draw.randrange(len(content) * 8))
        else:
            path.write_bytes(content[: draw.randrange(len(content))])
        said = command("calls", "--data", copy.data, "--key", copy.key, "--json")
        assert said.code in (0, 1, 20) and (said.code == 0 or said.complaint)
        assert command("index", "rebuild", "--data", copy.data, "--json").code == 0
        assert copy.listed("--key", copy.key) == good
        content = path.read_bytes()


def test_no_change_of_the_log_passes(copy: Box) -> None:
    for path in sorted((copy.data / "audit").iterdir()):
        content = path.read_bytes()
        for bit in draw.sample(range(len(content) * 8), 20):
            flip(path, bit)
            said = command("audit", "verify", "--data", copy.data, "--json")
            assert said.code == 20 and said.json["problems"], (path, bit)
            path.write_bytes(content)
        path.write_bytes(content[: len(content) // 2])
        assert command("audit", "verify", "--data", copy.data, "--json").code == 20
        path.unlink()
        assert command("audit", "verify", "--data", copy.data, "--json").code == 20
        path.write_bytes(content)
    assert copy.verified()["ok"]


def test_an_altered_log_lets_nothing_out(copy: Box) -> None:
    (path,) = (copy.data / "audit").glob("entries-*")
    content = path.read_bytes()
    for bit in draw.sample(range(len(content) * 8), 10):
        flip(path, bit)
        assert set(codes(copy)) <= {20}, bit
        for words in (("coverage",), ("import-pcap", copy.capture([]), "--policy", DESK)):
            said = command(*words, "--data", copy.data, "--json")
            assert said.code == 20 and said.complaint and not said.out
        path.write_bytes(content)


def test_another_log_key_signs_nothing(copy: Box, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Box(tmp_path / "other")
    shutil.copy(other.data / "keys" / "log.pub", copy.data / "keys" / "log.pub")
    assert copy.verified()["ok"] is False
    trusted = tmp_path / "trust"
    trusted.write_bytes((other.data / "keys" / "log.pub").read_bytes())
    said = command("audit", "verify", "--data", copy.data, "--trust", trusted, "--json")
    assert said.code == 20


# --- who only reads ---


def windows(box: Box, wanted: Callable[[Path], bool]) -> set[bytes]:
    """Every 32 bytes in a row of the chosen files, also of what base64 and hex in them say."""
    found: set[bytes] = set()
    for path, content in box.contents().items():
        if not wanted(path):
            continue
        texts = [content]
        for word in re.findall(rb"[A-Za-z0-9+/_-]{40,}", content):
            padded = word.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(word) % 4)
            texts.append(base64.b64decode(padded, validate=False) if len(word) % 4 != 1 else b"")
        for word in re.findall(rb"[0-9a-f]{64,}", content):
            texts.append(bytes.fromhex(word[: len(word) // 2 * 2].decode()))
        for text in texts:
            found |= {text[at : at + 32] for at in range(len(text) - 31)}
    return found


def secretive(path: Path) -> bool:
    return path.parent.name == "keys" or path.name in (
        "effaceable.key", "device.json", "root.0", "root.1", "checkpoint",
    )  # fmt: skip


def test_the_whole_disk_opens_no_part_and_no_number(scene: Box) -> None:
    candidates = windows(scene, secretive)
    buckets = windows(scene, lambda path: path.parent.parent.name == "shred")
    assert len(candidates) > 1_000 and len(buckets) > 1_000
    parts = [Reader(path.read_bytes()) for path in scene.parts]
    records = list(journal.everything(scene.data / "vault" / "calls"))
    assert (len(parts), len(records)) == (3, 3)
    opened = 0
    for key in candidates | set(list(buckets)[:4_000]):
        try:
            parts[0].open(key)
        except WrongKey:
            pass
        else:
            opened += 1
        try:
            journal.open_sealed(records[0], key)
        except BadJournal:
            pass
        else:
            opened += 1
    blocks = _blocks(scene)
    own = {path.read_bytes() for path in (scene.data / "shred").rglob("effaceable.key")}
    log_key = (scene.data / "keys" / "log.key").read_bytes()
    seeds = own | {one for one in candidates if one in log_key}
    seeds |= set(list(candidates)[:200])
    for seed in seeds:
        private = PrivateKey(Role.OFFICE, seed[:32])
        for identity, what, block in blocks:
            try:
                envelope.open_block(block, what, identity, private)
            except DoesNotOpen:
                continue
            opened += 1
    assert opened == 0


def _blocks(box: Box) -> list[tuple[bytes, What, bytes]]:
    with layout.open(box.data).lock(Disk()):
        store = layout.open(box.data).shred_store(Disk())
        found = [(name.id, What(name.what), store.get(name).block) for name in store.names()]
        store.close()
    return found


def test_the_office_key_opens_all_of_it(scene: Box) -> None:
    assert len(scene.opened()) == 3
    assert [(call["from"], call["to"]) for call in scene.listed("--key", scene.key)] == [
        NUMBERS
    ] * 3
    for path in scene.parts:
        said = command("open", path, "--key", scene.key, "--json", program="greffier-office")
        assert said.code == 0 and said.json["complete"]
        assert said.json["about"]["from"] == NUMBERS[0]


def test_names_and_numbers_are_in_no_file(scene: Box) -> None:
    secrets = [*NUMBERS, NUMBERS[0][1:], NUMBERS[1][1:], "sip:+33"]
    for path, content in scene.contents().items():
        lowered = content.lower()
        for secret in secrets:
            for text in (secret, secret[::-1]):
                for coding in ("utf-8", "utf-16-le", "utf-16-be"):
                    assert text.encode(coding) not in lowered, (path, text)


def test_a_part_opens_under_no_other_key_pair(scene: Box) -> None:
    other = keys.generate(Role.OFFICE)
    for path in scene.parts:
        header = Reader(path.read_bytes()).header
        for block in (header.envelopes,) if header.envelopes else ():
            with pytest.raises(DoesNotOpen):
                envelope.open_block(block, What.PART, header.part_id, other)
    with pytest.raises(BadPart):
        Reader(b"no part")
