"""The reader of tools/independent_reader.py, written from docs/ alone, agrees with the product."""

import base64
import hashlib
import importlib.util
import json
import logging
import random
import struct
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from greffier_sim.captures import Plan, call
from greffier_sim.packets import frames_of, pcap

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "independent_reader.py"
VECTORS = ROOT / "tests" / "vectors"
LOG = logging.getLogger(__name__)
COMMANDS = Path(sys.executable).parent
POLICY = """
schema = "callpolicy/1"
id = "independent"
version = 1
controller = "FR"
employee = "FR"
device = "FR"
market = "FR"
timezone = "Europe/Paris"
fail_mode = "closed"
consent.mode = "opt_out"
announce = { text_id = "a", on_failure = "no_record" }
retention = {}
sync.destination = "FR"
sampling.rate = 0.2
[lines.fire]
sector = "emergency_fire"
purposes = ["emergency_fire"]
[lines.desk]
sector = "retail"
purposes = ["quality"]
[governance]
register_ref = "r"
dpo_ref = "d"
employee_notice_on = 2020-01-01
works_council_ref = "w"
lia_ref = "l"
changed_by = ["a", "b"]
"""


def load() -> ModuleType:
    """The script as a module; tools/ is no package."""
    spec = importlib.util.spec_from_file_location("independent_reader", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reader = load()


def vectors(name: str) -> list[dict[str, Any]]:
    """The list of a vector file, which may stand under a key."""
    held = json.loads((VECTORS / name).read_text())
    return held["vectors"] if isinstance(held, dict) else held


def named(name: str) -> pytest.MarkDecorator:
    """One test for each vector of a file."""
    return pytest.mark.parametrize("vector", vectors(name), ids=lambda vector: vector["name"])


def refusal(function: Callable[..., Any], *arguments: Any) -> tuple[int, int, str] | None:
    """Number, offset and page of the refusal, None where there is none."""
    try:
        function(*arguments)
    except reader.Refused as refused:
        return refused.args  # type: ignore[return-value]
    return None


def key_file(role: int, seed: bytes) -> bytes:
    """A private key file (key-files.md)."""
    label = b"greffier-office-key-1" if role == 1 else b"greffier-console-key-1"
    check = hashlib.sha256(b"greffier/key-file\0" + label + b"\0" + seed).digest()[:4]
    return label + b":" + base64.urlsafe_b64encode(seed + check) + b"\n"


def script(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The script as a person runs it; whatever happens, no traceback and one line of errors."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == 2 or done.stderr.count("\n") == (done.returncode != 0)
    assert bool(done.stdout) == (done.returncode == 0)
    return done


def test_the_script_is_short_and_imports_nothing_of_ours() -> None:
    text = SCRIPT.read_text()
    assert text.count("\n") <= 150
    assert "greffier_" not in text
    assert "import greffier" not in text
    assert "from greffier" not in text


@named("seal/parts.json")
def test_every_part_vector(vector: dict[str, Any]) -> None:
    part, key = bytes.fromhex(vector["part"]), bytes.fromhex(vector["content_key"])
    if vector["reasons"]:
        refused = refusal(reader.read, part, key)
        assert refused
        assert refused[0] in vector["reasons"]
        assert 0 <= refused[1] <= len(part)
    else:
        told = reader.read(part, key)
        assert (told["root"], told["sha256"]) == (vector["root"], vector["sha256"])
        assert (told["frames"], told["complete"]) == (len(vector["frames"]), True)


@named("seal/envelopes.json")
def test_every_envelope_vector(vector: dict[str, Any]) -> None:
    block, file = (
        bytes.fromhex(vector["block"]),
        key_file(vector["role"], bytes.fromhex(vector["seed"])),
    )
    arguments = (block, file, bytes.fromhex(vector["id"]), vector["what"])
    if "key" in vector:
        assert reader.opened(*arguments).hex() == vector["key"]
        return
    refused = refusal(reader.opened, *arguments)
    assert refused
    if not block:  # to a person without any envelope it says that nothing opens
        assert refused == (10, 0, "envelope")
    elif set(vector["reasons"]) & {10, 11}:
        assert refused[0] in vector["reasons"]
    else:  # 1 to 9 make the block malformed, which is rule 9 of a part
        assert refused == (9, 0, "part")


@pytest.mark.parametrize(
    "vector",
    # The reader reads private keys alone, and those of both roles.
    [
        vector
        for vector in vectors("seal/key_files.json")
        if vector["private"] and vector["name"] != "console where office is needed"
    ],
    ids=lambda vector: vector["name"],
)
def test_every_private_key_file_vector(vector: dict[str, Any]) -> None:
    # Without a block a good key file opens nothing; a bad one is refused before that is known.
    refused = refusal(reader.opened, b"", vector["text"].encode(), bytes(16))
    assert refused
    assert refused[2] == ("envelope" if "key" in vector else "keys")


def shred_store(folder: Path, day: str, generation: int, key: bytes, bucket: bytes) -> None:
    """A store of one bucket, sealed here by the page."""

    def crc(data: bytes) -> bytes:
        return data + zlib.crc32(data).to_bytes(4, "big")

    effaceable, salt = bytes(range(32)), bytes(32)
    plain = struct.pack(">I10sQ32s", 1, day.encode(), generation, key)
    head = b"\x89GSR\r\n\x1a\n" + struct.pack(">HHQ", 1, 1, generation) + salt
    head += (len(plain) + 16).to_bytes(4, "big")
    okm = HKDF(SHA512(), 44, salt, b"greffier/shred-root@v1\0" + head).derive(effaceable)
    sealed = ChaCha20Poly1305(okm[:32]).encrypt(okm[32:], plain, head)
    for copy in (folder / "a", folder / "b"):
        copy.mkdir(parents=True)
        (copy / "effaceable.key").write_bytes(
            crc(b"\x89GSE\r\n\x1a\n" + (7).to_bytes(8, "big") + effaceable)
        )
        (copy / f"root.{generation % 2}").write_bytes(crc(head + sealed))
        (copy / f"{day}.{generation}").write_bytes(bucket)


@pytest.mark.parametrize(
    "vector",
    [vector for vector in vectors("store/shred.json") if vector["kind"] == "bucket"],
    ids=lambda vector: vector["name"],
)
def test_every_bucket_vector_of_the_shred_store(vector: dict[str, Any], tmp_path: Path) -> None:
    bucket, key = bytes.fromhex(vector["data"]), bytes.fromhex(vector["key"])
    shred_store(tmp_path / "shred", vector["day"], vector["generation"], key, bucket)
    wanted = {
        entry["id"]: entry["block"] for entry in vector.get("entries", []) if entry["what"] == 1
    }
    every = {entry["id"] for entry in vector.get("entries", [])} | {"01" * 16, "02" * 16, "03" * 16}
    found = {
        name: next(reader.entry(tmp_path / "shred", bytes.fromhex(name)), None) for name in every
    }
    assert {name: block.hex() for name, block in found.items() if block} == wanted


class Box(NamedTuple):
    """A data directory of the product: two parts with envelopes in the file, one without."""

    data: Path
    key: Path
    fire: list[Path]
    desk: Path


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    """Recorded through the product's own commands from a capture of the simulator."""
    folder = tmp_path_factory.mktemp("box")

    def run(command: str, *arguments: object) -> None:
        subprocess.run([COMMANDS / command, *map(str, arguments)], check=True, capture_output=True)

    run("greffier-office", "keygen", "-o", folder / "office")
    run("greffier", "init", "--data", folder / "data", "--office-key", folder / "office/office.pub")
    (folder / "policy.toml").write_text(POLICY)
    for line, talk_ms in (("fire", 400), ("fire", 600), ("desk", 400)):
        capture = folder / f"{line}-{talk_ms}.pcap"
        frames = frames_of(call(Plan(call_id=f"{line}-{talk_ms}@sim", talk_ms=talk_ms)))
        capture.write_bytes(pcap(frames, nanoseconds=True))
        arguments = ("--policy", folder / "policy.toml", "--line", line, "--draw", 0.01)
        run("greffier", "import-pcap", capture, "--data", folder / "data", *arguments)
    parts = sorted(folder.glob("data/vault/parts/*/*.gpart"), key=lambda part: part.stat().st_size)
    with_envelope = [part for part in parts if int.from_bytes(part.read_bytes()[16:20], "big")]
    (desk,) = set(parts) - set(with_envelope)
    return Box(folder / "data", folder / "office/office.key", with_envelope, desk)


def product(part: Path, key: Path, *arguments: object) -> dict[str, Any]:
    """What the product's own reader says."""
    command = [COMMANDS / "greffier-office", "open", part, "--key", key, "--json", *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, check=True)
    return dict(json.loads(done.stdout))


def agree(told: dict[str, Any], ours: dict[str, Any]) -> None:
    """Both readers found the same part."""
    for name in ("part", "recording", "number", "frames", "complete"):
        assert told[name] == ours[name]
    assert told["meta"]["line"] == ours["line"]
    assert told["meta"]["purposes"] == ours["purposes"]
    assert told["merged"]["call_id"] == ours["about"]["call_id"]
    packets = {leg: held["packets"] for leg, held in told["legs"].items()}
    assert packets == {str(leg["leg"]): leg["packets"] for leg in ours["legs"]}
    gaps = {
        leg: [(start, to, why) for kind, start, to, why in held["spans"] if kind == reader.GAP]
        for leg, held in told["legs"].items()
    }
    assert gaps == {
        str(leg["leg"]): [(gap["from"], gap["to"], gap["cause"]) for gap in leg["gaps"]]
        for leg in ours["legs"]
    }


def test_a_part_with_its_envelope_is_opened_by_both(box: Box) -> None:
    for part in box.fire:
        told = json.loads(script(part, "--key", box.key).stdout)
        agree(told, product(part, box.key))
        shredded = script(part, "--key", box.key, "--shred", box.data / "shred")
        assert json.loads(shredded.stdout) == told


def test_a_part_whose_envelope_is_in_the_shred_store_is_opened_by_both(
    box: Box, tmp_path: Path
) -> None:
    assert script(box.desk, "--key", box.key).returncode == 12
    told = json.loads(script(box.desk, "--key", box.key, "--shred", box.data / "shred").stdout)
    block = tmp_path / "block"
    block.write_bytes(next(reader.entry(box.data / "shred", bytes.fromhex(told["part"]))))
    assert json.loads(script(box.desk, "--key", box.key, "--envelope", block).stdout) == told
    agree(told, product(box.desk, box.key, "--envelope", block))


def test_a_content_key_needs_no_envelope(box: Box) -> None:
    key = content_key(box.fire[0], box.key)
    whole = script(box.fire[0], "--key", box.key)
    assert script(box.fire[0], "--content-key", key.hex()).stdout == whole.stdout
    other = script(box.fire[0], "--content-key", bytes(32).hex())
    assert other.returncode == 20
    assert "(10, " in other.stderr


def test_another_key_another_envelope_and_a_broken_store(box: Box, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    other.write_bytes(key_file(1, bytes(32)))
    assert script(box.fire[0], "--key", other).returncode == 12
    foreign = tmp_path / "foreign"
    foreign.write_bytes(envelope(box.fire[1]))
    assert script(box.fire[0], "--key", box.key, "--envelope", foreign).returncode == 12
    foreign.write_bytes(envelope(box.fire[1])[:-1])
    assert script(box.fire[0], "--key", box.key, "--envelope", foreign).returncode == 20
    assert script(box.desk, "--key", box.key, "--shred", tmp_path).returncode == 20


def test_wrong_use(box: Box, tmp_path: Path) -> None:
    assert script().returncode == 2
    assert script(tmp_path, "--key", box.key).returncode == 2
    assert script(tmp_path / "none", "--key", box.key).returncode == 2
    assert script(box.fire[0], "--key", tmp_path / "none").returncode == 2
    assert script(box.fire[0], "--key", box.fire[0]).returncode == 2
    assert script(box.fire[0], "--content-key", "zz").returncode == 2
    assert script(box.key, "--key", box.key).returncode == 20


def test_noise_is_refused_and_nothing_else() -> None:
    draw = random.Random(1)
    head = bytes.fromhex(vectors("seal/parts.json")[0]["part"])
    for size in range(300):
        for start in (b"", head[:88], head[:161]):
            assert refusal(reader.read, start + draw.randbytes(size), bytes(32))


# --- attacks on a real part ---


def envelope(part: Path) -> bytes:
    """The envelope block in a part's header (part-format.md, Header)."""
    data = part.read_bytes()
    size, length = struct.unpack_from(">II", data, 12)
    return data[88 + size : 88 + size + length]


def content_key(part: Path, key: Path) -> bytes:
    """What the part's own envelope opens to."""
    return bytes(reader.opened(envelope(part), key.read_bytes(), part.read_bytes()[20:36]))


def header_size(data: bytes) -> int:
    """Where the first frame begins."""
    return 124 + sum(struct.unpack_from(">II", data, 12))


def split(data: bytes) -> tuple[bytes, list[bytes]]:
    """The header and the frames."""
    at = header_size(data)
    header, frames = data[:at], []
    while at < len(data):
        size = 16 + int.from_bytes(data[at : at + 4], "big")
        frames.append(data[at : at + size])
        at += size
    return header, frames


def header_made_right(header: bytes) -> bytes:
    """With the CRC-32 that belongs to it."""
    return header[:-4] + zlib.crc32(header[:-4]).to_bytes(4, "big")


def frame_made_right(frame: bytes, seq: int | None = None) -> bytes:
    """With the CRC-32 that belongs to it, and that number."""
    head = frame[:8] + (frame[8:12] if seq is None else seq.to_bytes(4, "big"))
    return head + zlib.crc32(head + frame[16:]).to_bytes(4, "big") + frame[16:]


def flips(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Copies with one bit changed."""
    draw = random.Random(seed)
    for _ in range(count):
        at = draw.randrange(len(data))
        changed = bytes((data[at] ^ 1 << draw.randrange(8),))
        yield data[:at] + changed + data[at + 1 :]


def made_right(whole: bytes, changed: bytes) -> bytes:
    """A changed copy whose CRC-32s are right, as somebody makes it who means harm."""
    at, parts = header_size(whole), []
    for frame in split(whole)[1]:
        parts.append(frame_made_right(changed[at : at + len(frame)]))
        at += len(frame)
    return header_made_right(changed[: header_size(whole)]) + b"".join(parts)


def swaps(header: bytes, frames: list[bytes], again: bool) -> Iterator[bytes]:
    """Each two neighbours exchanged; *again*: numbered and checksummed again."""
    for i in range(len(frames) - 1):
        new = [*frames[:i], frames[i + 1], frames[i], *frames[i + 2 :]]
        if again:
            new = [frame_made_right(frame, seq) for seq, frame in enumerate(new)]
        yield header + b"".join(new)


def transplants(one: bytes, two: bytes) -> Iterator[bytes]:
    """Everything of the second part put into the first: header, fields, envelopes, frames."""
    (header, frames), (other, others) = split(one), split(two)
    yield header + b"".join(others)
    yield other + b"".join(frames)
    size, length = struct.unpack_from(">II", header, 12)
    size_2, length_2 = struct.unpack_from(">II", other, 12)
    assert (size, length) == (size_2, length_2), "fields of these parts lie at the same offsets"
    block = (88 + size, 88 + size + length)
    for start, end in ((20, 36), (36, 52), (56, 88), (88, 88 + size), block, (-36, -4), (20, 88)):
        end = end if end > 0 else len(header) + end
        start = start if start > 0 else len(header) + start
        changed = header[:start] + other[start:end] + header[end:]
        if changed != header:
            yield header_made_right(changed) + b"".join(frames)
    # Without its envelopes, and with a second one
    bare = header[:16] + bytes(4) + header[20 : block[0]] + header[block[1] :]
    yield header_made_right(bare) + b"".join(frames)
    both = bytes((2,)) + header[block[0] + 1 : block[1]] + other[block[0] + 1 : block[1]]
    more = header[:16] + len(both).to_bytes(4, "big") + header[20 : block[0]] + both
    yield header_made_right(more + header[block[1] :]) + b"".join(frames)
    for i, (mine, theirs) in enumerate(zip(frames, others, strict=False)):
        for new in (theirs, frame_made_right(mine[:16] + theirs[16:])):
            yield header + b"".join([*frames[:i], new, *frames[i + 1 :]])
    for i in range(len(frames)):
        yield header + b"".join(frames[:i] + frames[i + 1 :])
        fewer = [frame_made_right(frame, n) for n, frame in enumerate(frames[:i] + frames[i + 1 :])]
        yield header + b"".join(fewer)
        yield header + b"".join([*frames[: i + 1], *frames[i:]])


def test_no_attack_on_a_real_part_is_accepted(box: Box) -> None:
    one, two = (path.read_bytes() for path in box.fire)
    keys = [content_key(path, box.key) for path in box.fire]
    assert reader.read(one, keys[0])["complete"]
    assert reader.read(two, keys[1])["complete"]
    header, frames = split(one)
    attacks: dict[str, Iterator[bytes]] = {
        "cut": (one[:size] for size in range(len(one))),
        "bit flipped": flips(one, 10_000, 1),
        "bit flipped, CRC made right": (made_right(one, new) for new in flips(one, 3_000, 2)),
        "neighbours swapped": swaps(header, frames, again=False),
        "neighbours swapped, numbers and CRC made right": swaps(header, frames, again=True),
        "transplanted": transplants(one, two),
        "transplanted the other way": transplants(two, one),
    }
    tried, reasons = Counter[str](), Counter[int]()
    for name, changed in attacks.items():
        for new in changed:
            if new in (one, two):  # a bit of a CRC flipped, then made right: no attack
                continue
            tried[name] += 1
            for key in keys if name.startswith("transplanted") else keys[:1]:
                refused = refusal(reader.read, new, key)
                assert refused, f"{name}: attack number {tried[name]} was accepted"
                reasons[refused[0]] += 1
    LOG.info("attacks: %s; refused with: %s", dict(tried), dict(sorted(reasons.items())))
    assert tried["cut"] == len(one)
    assert tried["bit flipped"] == 10_000
    assert tried["bit flipped, CRC made right"] > 2_900
    assert tried["neighbours swapped"] == len(frames) - 1
    assert min(tried.values()) > 2
    # An envelope of another part opens nothing
    name = one[20:36]
    assert refusal(reader.opened, envelope(box.fire[1]), box.key.read_bytes(), name) == (
        11, 0, "envelope",
    )  # fmt: skip
