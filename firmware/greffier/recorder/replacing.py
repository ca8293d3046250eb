"""Another key of head office: from the next epoch on everything is sealed to it."""

from greffier.recorder.archive import Archive
from greffier.recorder.recipients import replacement
from greffier.seal.keys import PublicKey


def replace_office(archive: Archive, new: PublicKey, by: str | None) -> str | None:
    """Seal to head office's key *new* from the next epoch on; the id of the key before.

    *by* is the key id of the operator who does it. A replacement that was cut short after its entry
    is finished by the next. Raises StorageFailed, BadKeyFile, IntegrityError.
    """
    archive.sealing.check()
    was, key_id = archive.sealing.now[0].key_id.hex(), new.key_id.hex()
    content = new.format().encode("ascii")
    pending = replacement(archive.data, key_id)
    if was != key_id:
        archive.disk.write_file(pending, content)
        said = {"key": key_id, "was": was}
        archive.say("office.replaced", said | ({"by": by} if by else {}))
        archive.log.commit()
    archive.disk.write_file(archive.data.office_public, content)
    archive.disk.remove([pending])
    return was
