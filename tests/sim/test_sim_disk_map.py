"""Whose a block of an ext4 is, told from the image alone."""

import shutil
import subprocess
from pathlib import Path

import pytest

from greffier_sim.bench_storage import owner
from greffier_sim.block_disk import FLUSH, WRITE, Operation
from greffier_sim.disk_map import BLOCK, DiskMap

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("mkfs.ext4", "debugfs", "dumpe2fs"))), reason="needs e2fsprogs"
)


def test_blocks_are_told_apart_by_structure_and_by_file(tmp_path: Path) -> None:
    tree, image = tmp_path / "tree", tmp_path / "image"
    part = tree / "vault" / "parts" / "2026-01-01" / f"{'ab' * 16}.gpart"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"sealed sound" * 1000)
    (tree / "audit").mkdir()
    (tree / "audit" / "leaves").write_bytes(b"leaf hashes " * 40)
    words = ["mkfs.ext4", "-q", "-b", str(BLOCK), "-J", "size=4", "-d", str(tree), str(image)]
    subprocess.run([*words, "16M"], check=True)
    found = DiskMap(image, owner)
    raw = image.read_bytes()
    sound, leaves = raw.index(b"sealed sound") // BLOCK, raw.index(b"leaf hashes") // BLOCK
    owners = [found.owner(block) for block in (0, sound, sound + 2, leaves)]
    assert owners == ["superblock", "parts", "parts", "log"]
    assert {"journal", "inodes", "bitmaps", "folders", "freed"} <= {
        found.owner(block) for block in range(len(raw) // BLOCK)
    }
    written = [
        Operation(WRITE, 0, bytes(1024)),
        Operation(FLUSH),
        Operation(WRITE, sound * BLOCK, bytes(2 * BLOCK)),
    ]
    assert found.tally(written) == {"superblock": 1024, "parts": 2 * BLOCK}
