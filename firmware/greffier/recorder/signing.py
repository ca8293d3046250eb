"""Signing a policy: a line is added to the signed note beside it (docs/policy-signing.md)."""

from collections.abc import Iterable
from pathlib import Path

from greffier.audit import note
from greffier.audit.note import BadNote, Signer
from greffier.durable import Disk
from greffier.recorder.adoption import statement

PUBLIC = 0o644


def beside(policy: Path) -> Path:
    """Where the signatures of the file *policy* lie."""
    return policy.with_name(policy.name + ".sig")


def sign(policy: Path, content: bytes, signers: Iterable[Signer], disk: Disk) -> list[str]:
    """Add the lines of *signers* to the signatures of *policy*, whose bytes are *content*.

    Lines by others of these very bytes stay; those of other bytes go. The names of who signed, in
    order. Raises BadNote (a name that no note may hold), StorageFailed.
    """
    target, text = beside(policy), statement(content)
    lines: dict[str, str] = {}
    if target.exists():
        try:
            old = note.parse(target.read_bytes())
        except BadNote:
            old = None
        if old is not None and old.text == text:  # another person signed this very policy before
            before = target.read_text("utf-8").partition("\n\n")[2].splitlines()
            lines = {line.split(" ")[1]: line for line in before}
    for one in signers:
        lines[one.name] = one.sign(text).decode("utf-8").partition("\n\n")[2].rstrip("\n")
    whole = f"{text}\n{''.join(line + chr(10) for line in lines.values())}"
    disk.write_file(target, whole.encode(), PUBLIC)
    return sorted(lines)
