"""The gate's folder: tokens that people made, and desks that enrolled (docs/facts-api.md).

``tokens.json`` is written by the commands, ``desks.json`` by the gate alone. A desk has the id of
the code that it enrolled with: so a code counts once, and revoking it revokes the desk.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from greffier.durable import Disk
from greffier.errors import BadGate, NotFound
from greffier.gate import tokens
from greffier.gate.tokens import MOST_TOKENS, Token
from greffier.language import translate as _

DEFAULT: Final = Path("/var/lib/greffier-gate")
_MOST_FILE: Final = 1 << 20
_Seen = tuple[int, int, int]


class Registry:
    """Every token of a folder, as its files are now. One owner; nothing is kept but what was read.

    Reading is cheap while the files stay as they are.
    """

    def __init__(self, folder: Path = DEFAULT, disk: Disk | None = None) -> None:
        self.folder = folder
        self._disk = disk or Disk()
        self._read: dict[Path, tuple[_Seen | None, tuple[Token, ...]]] = {}

    @property
    def made(self) -> Path:
        """What the commands wrote."""
        return self.folder / "tokens.json"

    @property
    def enrolled(self) -> Path:
        """What the gate wrote."""
        return self.folder / "desks.json"

    def tokens(self) -> tuple[Token, ...]:
        """Every token, a desk in place of the code that it enrolled with. Raises BadGate."""
        made, desks = self._of(self.made), {one.id: one for one in self._of(self.enrolled)}
        found = [
            replace(desks[one.id], revoked_ns=one.revoked_ns) if one.id in desks else one
            for one in made
        ]
        return tuple(found)

    def find(self, text: str, now_ns: int) -> Token | None:
        """As :func:`tokens.find`. Raises BadGate."""
        return tokens.find(self.tokens(), text, now_ns)

    def add(self, kind: str, name: str, now_ns: int, allow: Iterable[str] = ()) -> str:
        """Make a token; its text, which is nowhere else. Raises BadGate, Busy, StorageFailed."""
        self._disk.make_dirs(self.folder)
        with self._disk.lock(self.folder / ".tokens.lock"):
            made = self._of(self.made)
            if len(made) >= MOST_TOKENS:
                raise BadGate(path=self.made, reason=_("it holds too many tokens"))
            token, text = tokens.make(kind, name, now_ns, allow)
            self._disk.write_for_folder(self.made, tokens.dump((*made, token)))
        return text

    def revoke(self, key: str, now_ns: int) -> bool:
        """Revoke the token of the id *key*; False where it was already.

        Raises NotFound, BadGate, Busy, StorageFailed.
        """
        self._disk.make_dirs(self.folder)
        with self._disk.lock(self.folder / ".tokens.lock"):
            made = self._of(self.made)
            try:
                changed = tokens.revoke(made, key, now_ns)
            except KeyError:
                raise NotFound(what=key) from None
            if changed == made:
                return False
            self._disk.write_for_folder(self.made, tokens.dump(changed))
        return True

    def enrol(self, text: str, now_ns: int) -> str | None:
        """The new token of the desk whose code is *text*; None where that counts no more.

        It is durable before it is given. Raises BadGate, StorageFailed.
        """
        code = self.find(text, now_ns)
        if code is None or code.kind != "code":
            return None
        made, secret = tokens.make("desk", code.name, now_ns)
        desk = replace(made, id=code.id)
        self._disk.write_file(self.enrolled, tokens.dump((*self._of(self.enrolled), desk)))
        return f"gft-{desk.id}-{secret.rpartition(made.id + '-')[2]}"

    def _of(self, path: Path) -> tuple[Token, ...]:
        try:
            seen = _seen(path)
            before = self._read.get(path)
            if before is not None and before[0] == seen:
                return before[1]
            content = path.read_bytes() if seen is not None else b""
            if len(content) > _MOST_FILE:
                raise ValueError(_("it is too large"))
            found = tokens.load(content) if seen is not None else ()
        except OSError as error:
            raise BadGate(path=path, reason=error.strerror) from error
        except ValueError:
            raise BadGate(path=path, reason=_("it is damaged")) from None
        self._read[path] = (seen, found)
        return found


def _seen(path: Path) -> _Seen | None:
    """What tells one state of a file from the next; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
