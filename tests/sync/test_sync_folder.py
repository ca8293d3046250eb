"""A sync folder that cannot be used says why in one line; one that can says where to connect."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sync import enrolment_scene as scene
from tests.sync.enrolment_scene import DAY_NS, NOW_NS, RESPONSES

from greffier.durable import Disk
from greffier.errors import BadSync
from greffier.language import choose
from greffier.sync import installation
from greffier.sync.folder import SyncFolder
from greffier_office import authority
from greffier_office.authority import Authority, Use

GOOD = RESPONSES["vectors"][0]["text"].encode()
DEVICE = RESPONSES["device"]


@pytest.fixture
def folder(tmp_path: Path) -> SyncFolder:
    """The folder of a box that is enrolled."""
    choose("en")
    box = scene.waiting(tmp_path)
    installation.install(GOOD, box.directory, box.folder, Disk(), NOW_NS)
    return box.folder


@pytest.fixture(autouse=True)
def french_again() -> object:
    yield
    choose("fr")


def complaint(folder: SyncFolder, now_ns: int = NOW_NS) -> str:
    """What it says; one line."""
    with pytest.raises(BadSync) as refused:
        folder.open(now_ns)
    text = str(refused.value)
    assert "\n" not in text and "recording goes on" in text
    assert refused.value.exit_code == 12
    return text


def test_an_enrolled_box_knows_its_head_office_and_its_end(folder: SyncFolder) -> None:
    ready = folder.open(NOW_NS)
    assert ready.enrolment.device == DEVICE
    assert ready.enrolment.name == "siege"
    assert ready.enrolment.brokers == ("mqtt.example.org:8883", "[2001:db8::1]:8884")
    assert ready.expires_ns == NOW_NS + 1826 * DAY_NS
    assert {path.stat().st_mode & 0o777 for path in folder.path.iterdir()} == {0o600}
    assert folder.open(ready.expires_ns).enrolment == ready.enrolment


FILES = ["enrolment.json", "ca.crt", "control.crt", "control.key", "bulk.crt", "bulk.key"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_or_damaged_is_named(folder: SyncFolder, name: str) -> None:
    path = folder.path / name
    content = path.read_bytes()
    path.unlink()
    assert f"{name}: it is missing" in complaint(folder).replace("control.crt: control.key", name)
    for damaged in (b"", b"x", content[: len(content) // 2], b"\xff" * 50, content[::-1]):
        path.write_bytes(damaged)
        assert f"{name}: it is damaged" in complaint(folder)
    path.unlink()
    path.mkdir()
    assert name in complaint(folder)


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    choose("en")
    assert "enrolment.json: it is missing" in complaint(SyncFolder(tmp_path / "none"))


@pytest.mark.parametrize(
    ("days", "words"),
    [(-2, "ca.crt: it is good from 2026-11-21 on, and the clock says 2026-11-20"),
     (1828, "control.crt: it expired on 2031-11-22, and the clock says 2031-11-24"),
     (9000, "ca.crt: it expired on")],
)  # fmt: skip
def test_a_wrong_clock_is_told_from_a_wrong_certificate(
    folder: SyncFolder, days: int, words: str
) -> None:
    assert words in complaint(folder, NOW_NS + days * DAY_NS)


def issued(folder: SyncFolder, name: str, ca: Authority | None = None) -> None:
    """Control's files anew, for *name*; by an authority that takes ca.crt's place where given."""
    key = authority.new_key()
    signer = ca or Authority.new("siege", NOW_NS)
    one = signer.issue(key.public_key(), name, Use.CLIENT, NOW_NS, 9)
    if ca:
        folder.authority.write_bytes(authority.pem(ca.certificate))
    folder.certificate().write_bytes(authority.pem(one))
    folder.key().write_bytes(authority.key_pem(key))


def exchange(folder: SyncFolder) -> None:
    one, other = folder.certificate(), folder.certificate(bulk=True)
    both = one.read_bytes(), other.read_bytes()
    one.write_bytes(both[1])
    other.write_bytes(both[0])


BREAKS: dict[str, Callable[[SyncFolder], object]] = {
    "control.crt: the key does not belong to it": lambda folder: folder.key().write_bytes(
        authority.key_pem(authority.new_key())
    ),
    "control.crt: the key does not": exchange,
    "control.crt: head office's authority did not sign it": lambda folder: issued(folder, DEVICE),
    f"control.crt: it is for box-00000000, not for {DEVICE}": lambda folder: issued(
        folder, "box-00000000", Authority.new("siege", NOW_NS)
    ),
    "bulk.crt: head office's authority did not sign it": lambda folder: issued(
        folder, DEVICE, Authority.new("siege", NOW_NS)
    ),
    "ca.crt: the authority's certificate is not": lambda folder: folder.authority.write_bytes(
        folder.certificate().read_bytes()
    ),
    "enrolment.json: it is damaged": lambda folder: folder.enrolment.write_bytes(
        folder.enrolment.read_bytes().replace(b'"v":1', b'"v":2')
    ),
    "control.crt: it is for": lambda folder: folder.enrolment.write_bytes(
        folder.enrolment.read_bytes().replace(DEVICE.encode(), b"box-00000000")
    ),
}


@pytest.mark.parametrize("words", BREAKS)
def test_what_does_not_fit_is_named(folder: SyncFolder, words: str) -> None:
    BREAKS[words](folder)
    assert words in complaint(folder)
