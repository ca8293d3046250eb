"""A bucket of the shred store is read for the first time: both copies become what both tell."""

from collections.abc import Collection, Sequence
from pathlib import Path

from greffier.durable import Disk
from greffier.errors import StorageFailed
from greffier.store.shred_day import Day, Report
from greffier.store.shred_format import BadBucket, BucketKey, walk
from greffier.store.shred_glimpse import content


def mend(disk: Disk, path: Path, good: bytes) -> bool:
    """Make the file at *path* hold *good*; whether it did not already. Raises StorageFailed."""
    data = content(path)
    if data == good:
        return False
    if data.startswith(good):
        disk.truncate_to(path, len(good))
    else:
        disk.write_file(path, good)
    return True


def recover_day(
    disk: Disk, folders: Sequence[Path], day: str, key: BucketKey
) -> tuple[Day, list[Report]]:
    """The bucket of *day*, whose copies are mended, and what there was to mend or is lost.

    Raises StorageFailed.
    """
    paths = [folder / f"{day}.{key.generation}" for folder in folders]
    bucket = Day(key)
    try:
        walked = walk([content(path) for path in paths], day, key)
    except BadBucket:
        bucket.sound = False
        return bucket, [Report(day, "unreadable", 1)]
    repaired = sum([mend(disk, path, walked.good) for path in paths])
    for one in walked.placed:
        bucket.add(one)
    bucket.next_seq = walked.next_seq
    # Torn is what an interrupted append leaves in either copy: cut, and no repair.
    found: list[Report] = []
    if walked.torn:
        found.append(Report(day, "torn", walked.torn))
    elif repaired:
        found.append(Report(day, "repaired", repaired))
    if walked.lost:
        found.append(Report(day, "lost", walked.lost))
    return bucket, found


def sweep(disk: Disk, folders: Sequence[Path], named: Collection[str]) -> int:
    """Remove all files but those *named*; how many could not be.

    Without the root's key they are noise; they are tried again when the store is opened.
    """
    rest = [
        path for folder in folders for path in sorted(folder.iterdir()) if path.name not in named
    ]
    if not rest:
        return 0
    try:
        disk.remove(rest)
    except StorageFailed:
        return sum(path.exists() for path in rest)
    return 0
