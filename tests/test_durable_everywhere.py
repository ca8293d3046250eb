"""Every write goes through `greffier.durable`: no other module says how, none does it at run time.

SQLite writes its own files; they may be lost at any time.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from greffier.seal import keys
from greffier.seal.keys import Role
from greffier_sim import power_work

ROOT = Path(__file__).parents[1] / "firmware" / "greffier"
MODULES = sorted(
    path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] != "durable"
)
METHODS = frozenset(
    {"write_text", "write_bytes", "touch", "mkdir", "rmdir", "unlink", "rename"}
    | {"symlink_to", "hardlink_to", "chmod", "lchmod"}
)
CALLS = frozenset(
    {f"os.{name}" for name in ("rename", "renames", "replace", "remove", "unlink", "rmdir")}
    | {f"os.{name}" for name in ("removedirs", "mkdir", "makedirs", "truncate", "ftruncate")}
    | {f"os.{name}" for name in ("link", "symlink", "chmod", "fchmod", "chown", "fchown")}
    | {f"os.{name}" for name in ("pwrite", "pwritev", "writev", "fsync", "fdatasync", "sync")}
    | {f"os.{name}" for name in ("posix_fallocate", "sendfile", "copy_file_range", "mknod")}
    | {f"os.{name}" for name in ("write", "mkfifo", "utime", "memfd_create")}
    | {f"shutil.{name}" for name in ("copy", "copy2", "copyfile", "copytree", "move", "rmtree")}
    | {f"tempfile.{name}" for name in ("TemporaryDirectory", "NamedTemporaryFile", "mkstemp")}
    | {f"tempfile.{name}" for name in ("mkdtemp", "TemporaryFile", "SpooledTemporaryFile")}
)
ALLOWED = {
    ("recorder/recall.py", "os.memfd_create"): "memory, for who asked for a replay",
    ("recorder/recall.py", "os.write"): "that memory",
    ("recorder/load.py", "tempfile.TemporaryDirectory"): "a measurement's, gone at its end",
    ("trust/tpm_chip.py", "os.open"): "a device",
    ("trust/tpm_chip.py", "os.write"): "a device",
    ("cli/main.py", "os.open"): "/dev/null",
    ("control/server.py", "unlink"): "the name of a socket",
    ("control/server.py", "chmod"): "a socket",
}


def writes(text: str) -> Iterator[str]:
    """What in the module *text* may change a file system."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        said = [ast.unparse(one) for one in [*node.args, *[word.value for word in node.keywords]]]
        opens = name == "os.open" and any("O_RDONLY" not in one for one in said[1:2])
        opens |= name in ("open", "io.open", "os.fdopen") and _writes(said[1:])
        if name in CALLS or opens:
            yield name
        elif isinstance(node.func, ast.Attribute):
            if node.func.attr == "open" and _writes(said):
                yield "open"
            elif node.func.attr in METHODS and not _is_ours(node.func):
                yield node.func.attr


def _writes(said: list[str]) -> bool:
    """Whether one of the words is a mode that writes."""
    modes = [one[1:-1] for one in said if one[:1] in "'\"" and len(one) < 7]
    return any(set(mode) <= set("rwxab+t") and set(mode) & set("wxa+") for mode in modes)


def _is_ours(called: ast.Attribute) -> bool:
    """A method of durable's, by the name that its owner has everywhere: the disk, the system."""
    owner = ast.unparse(called.value)
    return owner.split(".")[-1].lstrip("_") in ("disk", "system")


def test_no_other_module_writes() -> None:
    found = {
        (place, one)
        for path in MODULES
        for place in [path.relative_to(ROOT).as_posix()]
        for one in writes(path.read_text())
    }
    assert found - ALLOWED.keys() == set(), "greffier.durable writes, nobody else"
    assert ALLOWED.keys() - found == set(), "what is allowed and not done is allowed no more"


def test_the_check_sees_each_way_to_write() -> None:
    for text, found in (
        ("path.write_bytes(b'')", "write_bytes"),
        ("path.open('wb')", "open"),
        ("open(path, mode='r+b')", "open"),
        ("os.open(path, os.O_WRONLY)", "os.open"),
        ("os.replace(one, other)", "os.replace"),
        ("path.unlink()", "unlink"),
        ("tempfile.mkstemp()", "tempfile.mkstemp"),
    ):
        assert list(writes(text)) == [found]
    for text in ("path.open('rb')", "path.open()", "disk.unlink(p)", "os.open(p, os.O_RDONLY | 1)"):
        assert list(writes(text)) == []


RUN = """
import os, sys
from pathlib import Path
from greffier_sim import power_work

folder = sys.argv[1]
writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
who = set()

def place(frame):
    while frame is not None:
        name = frame.f_code.co_filename
        if "/greffier" in name and not name.startswith(sys.base_prefix):
            return name.partition("/firmware/")[2] or name
        frame = frame.f_back
    return "nobody"

def hear(event, given):
    if event == "open" and (not str(given[0]).startswith(folder) or not given[2] & writes):
        return
    known = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.chmod")
    if event == "open" or event in known or event.startswith(("shutil.", "tempfile.")):
        who.add((event, place(sys._getframe(1))))

note = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
sys.addaudithook(hear)
power_work.Worker(Path(folder), note, 3).run(power_work.traffic(3, 8))
for one in sorted(who):
    print(*one)
"""


def test_at_work_only_durable_opens_cuts_renames_and_removes(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    office = keys.generate(Role.OFFICE).public.format().encode()
    power_work.prepare(folder, office)
    words = [sys.executable, "-c", RUN, str(folder), str(tmp_path / "note")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    said = [tuple(line.split()) for line in done.stdout.splitlines()]
    assert {event for event, _ in said} >= {"open", "os.rename", "os.remove", "os.mkdir"}
    assert {place for _, place in said} == {"greffier/durable/system.py"}
