"""What a thief of the powered-off box reads: nothing.

He has the whole disk image, and every secret file of the box as well. Twice: a box without a TPM,
where that is everything; and one with a TPM, where he first has no chip, then a chip that answers
him, then one that he opened. Whatever 32 octets in a row of all that could be a key are tried: as
effaceable key, as content key of each part, as private key, as metadata key of each epoch. He
shares no code with the recorder (:mod:`greffier_sim.carver`). Then every octet of the image is
searched for what must not stand there in clear: the numbers of all calls in the usual codings, the
sound of all parts as it was stored and as PCM, and every key that opens anything.

The positive control: head office's key opens every part and shows every number, and so do the words
of the one operator, through the console key of the month.
"""

import argparse
import base64
import binascii
import contextlib
import io
import json
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from greffier.cli.main import COMMANDS, run
from greffier.encode import audio
from greffier.errors import LockedOut, WrongSecret
from greffier.policy.lifecycle import DELETE_SPACE
from greffier.recorder import console_keys, operators, purge
from greffier.recorder.purge import Verdict
from greffier.seal.keys import PrivateKey, Role
from greffier.store import layout, playback
from greffier.store.shred_format import PART, Name
from greffier.trust import passphrase, wrapping
from greffier_sim import block_disk
from greffier_sim.carver import Carver, Holder, Lock, curve_of, effaceable_keys, unlocked
from greffier_sim.filled_disk import FilledDisk, memory, watched
from greffier_sim.many_calls import DUTY, VOLUNTARY, ManyCalls, plans
from greffier_sim.medium import BLOCK, Medium, find, runs, windows
from greffier_sim.sickdisk import Unable
from greffier_sim.soak_missing import Missing

_LARGEST_SECRET: Final = 1 << 13
# What holds ciphertext, rows and hashes; secrets in clear in them are found by the search.
_NO_SECRETS: Final = (".gpart", ".gcalls", ".glog", ".sqlite", ".sqlite-wal", "leaves")
_BATCH: Final = 256
OPERATOR: Final = "anne"


def configure(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--parts", type=int, default=1000, help="parts that stay")
    parser.add_argument("--purged", type=int, default=100, help="parts that were purged before")
    parser.add_argument("--guesses", type=int, default=40, help="wrong words that the chip is told")


def main(words: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Steal both; the figures."""
    began = time.monotonic()
    try:
        block_disk.own_mounts()
        with tempfile.TemporaryDirectory(prefix="greffier-thief-", dir=memory()) as name:
            folder = Path(name)
            program = block_disk.build(folder)
            with_tpm = steal(folder / "a", program, words, say, tpm=True)
            without = steal(folder / "c", program, words, say, tpm=False)
    except Unable as error:
        raise Missing(str(error)) from error
    found = {"with_tpm": with_tpm, "without_tpm": without, "passphrase": guessing()}
    good = all(_good(one) for one in (with_tpm, without))
    return {**found, "seconds": round(time.monotonic() - began, 1), "ok": good}


def _good(found: dict[str, Any]) -> bool:
    nothing = ("parts_opened", "numbers_opened", "numbers_in_clear", "sound_in_clear")
    return (
        not any(found[name] for name in nothing)
        and not found["keys_in_clear"]
        and found["parts"] == found["office_opens"] == found["operator_opens"]
        and found["calls"] == found["office_shows_numbers"]
    )


def steal(
    folder: Path,
    program: Path,
    words: argparse.Namespace,
    say: Callable[[str], None],
    *,
    tpm: bool,
) -> dict[str, Any]:
    """Fill a box, switch it off, take it, and try everything."""
    folder.mkdir()
    duty = words.parts // 20
    calls = [
        *plans(VOLUNTARY, 0, words.purged),
        *plans(VOLUNTARY, 1, words.parts - duty),
        *plans(DUTY, 1, duty),
    ]
    with (
        FilledDisk(folder, program, words.parts, tpm=tpm, console=False) as disk,
        watched() as secrets,
    ):
        phrase = str(_said("operator", "add", OPERATOR, "--data", disk.data)["passphrase"])
        with ManyCalls(disk.data) as box:
            for line, day in ((VOLUNTARY, 0), (VOLUNTARY, 1), (DUTY, 1)):
                box.record([one for one in calls if one.call_id.startswith(f"{line}-{day}-")])
            purged = box.rows(VOLUNTARY, [0])
            purge.carry_out(box.archive, [Verdict(row, DELETE_SPACE) for row in purged])
            sound, opens = _sound(box, disk.key)
            months = operator_keys(disk.data, phrase)
            heard = set().union(*(_sound(box, one)[1] for one in months))
        shown = _numbers(disk.data, disk.key, folder)
        guesses = guess(disk.data, words.guesses) if tpm else None
        names = [one.from_number for one in calls] + [one.to_number for one in calls]
        secret = dict(_secrets(disk.data))
        journals = [path.read_bytes() for path in disk.data.rglob("*.gcalls")]
        chip = disk.chip if tpm else b""
        disk.power_off()
        image = disk.image
    medium = _medium(image)
    say(f"{len(image) >> 20} MiB of image, {len(secret)} files with secrets")
    office = Holder(disk.key.seed)
    carver = Carver(medium, [office])
    live = carver.part_names & opens
    gone = {bytes.fromhex(row.part_id) for row in purged}
    tries = set(windows(*secret.values(), *_decoded(secret.values())))
    attempts = {"disk": set(effaceable_keys(medium))}
    if tpm:
        attempts |= {"chip_answers": windows(*_asked(chip)), "chip_opened": windows(chip)}
    counted = {}
    for name, roots in attempts.items():
        got = Carver(medium, []).look(roots | tries)
        counted[name] = sum(len(one) for one in got.entries.values())
    wanted = {office.curve, *(Holder(one.seed, role=2).curve for one in months)}
    opened = _try_all(medium, tries | windows(chip), wanted)
    metadata = _journals_opened(journals, tries | windows(chip))
    back = carver.look(effaceable_keys(medium) | windows(chip)).parts & gone
    clear = [*runs(image), chip]
    keys = secrets.contents | {disk.key.seed} | {one.seed for one in months} | {phrase.encode()}
    return {
        "class": "A" if tpm else "C",
        "octets": len(image) + len(chip),
        "parts": len(live),
        "calls": len(calls),
        "keys_tried": len(tries | windows(chip)),
        "envelopes_reached": counted,
        "parts_opened": len(opened),
        "numbers_opened": metadata,
        "numbers_in_clear": len(find(set(codings(names)), clear)),
        "sound_in_clear": len(find(sound, clear)),
        "keys_in_clear": len(find(set(_spellings(keys)), clear)),
        "office_opens": len(opens),
        "operator_opens": len(heard),
        "office_shows_numbers": len(shown & set(names[: len(calls)])),
        "purged": len(gone),
        "purged_reopened_with_office_key": len(back),
        "guesses_until_the_chip_locks": guesses,
    }


# --- what is searched for ---


def codings(numbers: Iterable[str]) -> Iterator[bytes]:
    """Telephone numbers as programs write them: text, packed digits, integers, hex, base64."""
    for number in numbers:
        digits = number.lstrip("+")
        national = "0" + digits[2:]
        for text in (digits, national):
            yield text.encode()
            yield text.encode("utf-16-le")
            yield text.encode("utf-16-be")
            yield text.encode().hex().encode()
            yield text[::-1].encode()
            for shift in range(3):
                coded = base64.b64encode(b"\0" * shift + text.encode())
                yield coded[2 * shift and 4 : len(coded) // 4 * 4 - 4]
            even = text + "f" * (len(text) % 2)
            if len(even) >= 12:
                yield bytes.fromhex(even)
                yield bytes.fromhex("".join(even[at + 1] + even[at] for at in range(0, 12, 2)))
        for value in (int(digits), int(national)):
            yield value.to_bytes(8)
            yield value.to_bytes(8, "little")


def _spellings(keys: Iterable[bytes]) -> Iterator[bytes]:
    for key in keys:
        yield key
        yield key.hex().encode()
        yield base64.b64encode(key)[:42]
        yield base64.urlsafe_b64encode(key)[:42]


def _sound(box: ManyCalls, private: PrivateKey) -> tuple[set[bytes], set[bytes]]:
    """What the beginning of each leg is, as it was stored and as PCM; and which parts opened."""
    pieces, opened = set(), set()
    for row in box.archive.index.parts():
        name = bytes.fromhex(row.part_id)
        block = box.archive.shred.get(Name(PART, name)).block
        part = playback.open_part(box.archive.vault.path_of(row.part_id), block, private)
        for leg in part.legs.values():
            opened.add(name)
            coded = leg.packets[0]
            pieces.add(bytes(coded.data[:32]))
            begin = coded.position
            pcm = audio.decode(leg.stored, [coded], start=begin, end=begin + 16).samples
            pieces.add(pcm.tobytes())
    return pieces, opened


def _said(*words: object) -> Any:
    """What a command says in JSON."""
    with redirect_stdout(io.StringIO()) as out:
        code = run("greffier", dict(COMMANDS), [str(one) for one in (*words, "--json")], "0")
    if code:
        raise RuntimeError(f"greffier {words[0]} ended with {code}")
    return json.loads(out.getvalue().splitlines()[-1])


def _numbers(data: Path, private: PrivateKey, folder: Path) -> set[str]:
    """The numbers that `greffier calls --key` shows."""
    path = folder / "office.key"
    path.write_text(private.format())
    found = _said("calls", "--data", data, "--key", path)
    path.unlink()
    return {one["from"] for one in found["calls"]}


def operator_keys(data: Path, phrase: str) -> list[PrivateKey]:
    """The console keys of the months that the operator's words open."""
    directory = layout.open(data)
    secret = operators.secret_octets("generated", phrase, OPERATOR)
    unlocked = operators.unlock(operators.card_of(directory, OPERATOR), secret)
    months = console_keys.months(directory)
    mine = console_keys.OperatorKeys(unlocked, months)
    found = (mine.find(Role.CONSOLE, one.public.key_id) for one in months)
    return [one for one in found if one]


def guess(data: Path, most: int) -> int:
    """After how many wrong guesses, of *most*, the chip answers nobody any more."""
    card = operators.card_of(layout.open(data), OPERATOR)
    for number in range(1, most + 1):
        wrong = operators.secret_octets("generated", passphrase.generate(), OPERATOR)
        try:
            operators.unlock(card, wrong)
        except LockedOut:
            return number
        except WrongSecret:
            continue
    return most + 1


# --- what he tries ---


def _secrets(data: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(data.rglob("*")):
        small = path.is_file() and path.stat().st_size <= _LARGEST_SECRET
        if small and not path.name.endswith(_NO_SECRETS):
            yield path, path.read_bytes()


def _decoded(files: Iterable[bytes]) -> Iterator[bytes]:
    for data in files:
        for word in re.findall(rb"[0-9A-Za-z+/_=-]{43,}", data):
            padded = word + b"=" * (-len(word) % 4)
            for decode, text in (
                (base64.b64decode, padded),
                (base64.urlsafe_b64decode, padded),
                (binascii.unhexlify, word),
            ):
                with contextlib.suppress(ValueError):
                    yield decode(text)


def _asked(chip: bytes) -> Iterator[bytes]:
    """What a chip answers to everybody: the effaceable key, which needs no password.

    The magic, a sequence, the store's name, and then the key (docs/shred-format.md).
    """
    for found in re.finditer(rb"\x89GST\r\n\x1a\n.{60}", chip, re.S):
        yield found[0][32:64]


def _medium(image: bytes) -> Medium:
    medium = Medium()
    for at in range(0, len(image), BLOCK):
        medium.write(at, image[at : at + BLOCK])
    return medium


def _try_all(medium: Medium, keys: Collection[bytes], wanted: Collection[bytes]) -> set[bytes]:
    """The parts that one of *keys* opens: as content key, or as a private key, which opens all.

    *wanted* are the X25519 halves of the public keys that anything is sealed to.
    """
    listed, locks = sorted(keys), Carver(medium, []).locks()
    batches = [listed[at : at + _BATCH] for at in range(0, len(listed), _BATCH)]
    with ProcessPoolExecutor() as pool:
        return set().union(*pool.map(partial(_try, locks, frozenset(wanted)), batches))


def _try(locks: list[Lock], wanted: Collection[bytes], keys: Iterable[bytes]) -> set[bytes]:
    opened: set[bytes] = set()
    for key in keys:
        if curve_of(key) in wanted:
            return {lock.name for lock in locks}
        opened |= unlocked(locks, key)
    return opened


def _journals_opened(journals: Iterable[bytes], keys: Collection[bytes]) -> int:
    """How many journals of calls (docs/data-directory.md) one of *keys* opens."""
    opened = 0
    for data in journals:
        head = 25 + data[20]
        size, clear = (int.from_bytes(data[head + at : head + at + 4]) for at in (0, 8))
        begin = head + 12 + clear
        bound = data[:head] + bytes(4) + data[head + 12 : begin]
        for key in keys if len(data) > begin else ():
            with contextlib.suppress(InvalidTag):
                ChaCha20Poly1305(key).decrypt(bytes(12), data[begin : head + 8 + size], bound)
                opened += 1
                break
    return opened


def guessing() -> dict[str, Any]:
    """What guessing the words of an operator costs who has the card, and no chip guards it."""
    began = time.monotonic()
    cost = wrapping.Cost()
    wrapping.stretch(b"guess", bytes(wrapping.SALT_BYTES), cost)
    guess_s = time.monotonic() - began
    return {
        "bits": round(passphrase.BITS, 1),
        "guess_s": round(guess_s, 3),
        "memory_mib": cost.memory_kib // 1024,
        "machines": passphrase.MACHINES,
        "years": round(passphrase.years(passphrase.BITS, guess_s)),
    }
