"""Which effaceable key a shred store has: chosen once, written down, never guessed again.

``shred/effaceable.json`` (docs/shred-format.md). A store without that file was made before there
was a choice, and its key is a file.
"""

import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from greffier import canonical
from greffier.durable import Disk
from greffier.errors import IntegrityError, TpmFailed, TpmLost
from greffier.language import translate as _
from greffier.trust.effaceable import COPIES, KEY_FILE, DeletionClass, EffaceableRoot, FileRoot
from greffier.trust.tpm import Place, TpmRoot, find_place, places
from greffier.trust.tpm_chip import Chip, Connect, connector

Choice = Literal["auto", "tpm", "file"]
CHOICES: tuple[Choice, ...] = ("auto", "tpm", "file")
DESCRIPTION = "effaceable.json"
_STORE = re.compile(r"[0-9a-f]{32}")


def make_root(folder: Path, disk: Disk, choice: Choice) -> EffaceableRoot:
    """The effaceable key of a new store in *folder*: ``auto`` is a TPM where one works.

    What an earlier attempt left in the TPM is used again, or removed. Raises TpmFailed if *choice*
    is ``tpm`` and none can be used, StorageFailed.
    """
    disk.make_dirs(folder)
    before = _left_behind(folder)
    if choice != "file":
        try:
            return _in_tpm(folder, disk, before)
        except (TpmFailed, TpmLost):
            if choice == "tpm":
                raise
    if before is not None and (connect := connector()) is not None:
        with suppress(TpmFailed, TpmLost):  # an index of ours may stay: it opens nothing
            TpmRoot(before, connect).unmake()
    disk.write_file(folder / DESCRIPTION, canonical.dump({"format": 1, "root": "file"}))
    return _file(folder, disk)


def open_root(folder: Path, disk: Disk) -> EffaceableRoot:
    """The effaceable key of the store in *folder*; the TPM, if it is there, is not asked yet.

    Raises IntegrityError (the description is damaged), TpmFailed (no TPM is to be used here).
    """
    place = _described(folder)
    if place is None:
        return _file(folder, disk)
    return TpmRoot(place, _connect())


def destroy_root(folder: Path, disk: Disk) -> None:
    """Destroy the effaceable key of the store in *folder*, for good; gone already is fine.

    A file is overwritten first, in both copies. Raises TpmFailed, TpmLost, StorageFailed.
    """
    try:
        place = _described(folder)
    except IntegrityError:
        place = None  # what cannot be read is removed with the rest
    if place is not None:
        TpmRoot(place, _connect()).unmake()
    elif any((folder / copy / KEY_FILE).exists() for copy in COPIES):
        _file(folder, disk).replace(secrets.token_bytes(32))


def trouble() -> str:
    """Why no TPM is used where ``auto`` took a file, as far as asking again shows."""
    try:
        with Chip(_connect()) as chip:
            chip.greet()
    except TpmFailed as error:
        return str(error.fields["reason"])
    return _("it answers, but lets no index be made")


def class_in(folder: Path) -> DeletionClass:
    """What a destruction in the store in *folder* is worth. Raises IntegrityError."""
    return "C" if _described(folder) is None else "A"


def _in_tpm(folder: Path, disk: Disk, before: Place | None) -> TpmRoot:
    connect = _connect()
    with Chip(connect) as chip:
        chip.greet()
    if before is not None:
        root = TpmRoot(before, connect)
        try:
            root.make()
        except TpmLost:
            pass  # somebody else has these indices now
        else:
            return root
    place = find_place(connect)
    # Written before the indices are made: an attempt that was cut short finds its own again.
    disk.write_file(folder / DESCRIPTION, _describe(place))
    root = TpmRoot(place, connect)
    root.make()
    return root


def _connect() -> Connect:
    connect = connector()
    if connect is None:
        raise TpmFailed(reason=_("GREFFIER_TPM says that none is to be used"))
    return connect


def _file(folder: Path, disk: Disk) -> FileRoot:
    first, second = (folder / copy / KEY_FILE for copy in COPIES)
    return FileRoot(disk, first, second)


def _describe(place: Place) -> bytes:
    handles = [f"{handle:08x}" for handle in place.handles]
    return canonical.dump(
        {"format": 1, "handles": handles, "root": "tpm", "store": place.store.hex()}
    )


def _left_behind(folder: Path) -> Place | None:
    try:
        return _described(folder)
    except IntegrityError:
        return None


def _described(folder: Path) -> Place | None:
    """Where in a TPM the key lies; None: it is a file. Raises IntegrityError."""
    try:
        data = (folder / DESCRIPTION).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IntegrityError(what=folder / DESCRIPTION, reason=error.strerror) from error
    try:
        return parse_description(data)
    except ValueError as error:
        raise IntegrityError(what=folder / DESCRIPTION, reason=error) from error


def parse_description(data: bytes) -> Place | None:
    """What ``effaceable.json`` says; None: the key is a file. Raises ValueError."""
    fields: Any = canonical.load(data)
    if fields == {"format": 1, "root": "file"}:
        return None
    if not isinstance(fields, dict) or set(fields) != {"format", "handles", "root", "store"}:
        raise ValueError("unknown keys")
    if fields["root"] != "tpm" or type(fields["format"]) is not int or fields["format"] != 1:
        raise ValueError("unknown format")
    store = fields["store"]
    if not isinstance(store, str) or not _STORE.fullmatch(store):
        raise ValueError("no name of a store")
    for pair in places():
        if fields["handles"] == [f"{handle:08x}" for handle in pair]:
            return Place(bytes.fromhex(store), pair)
    raise ValueError("unknown handles")
