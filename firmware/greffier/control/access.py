"""Who may ask what: users by their number, as the kernel gives it (SO_PEERCRED, unix(7))."""

import os
import pwd
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from greffier.config.records import Config
from greffier.control.desks import Acted, AskCalls, AskInstructions
from greffier.control.facts import Tell
from greffier.control.governance import AdoptPolicy
from greffier.control.messages import (
    Acknowledge,
    AskAlarms,
    AskLevels,
    AskStatus,
    Pause,
    Replay,
    Request,
    Resume,
    Stop,
)
from greffier.control.retention import (
    AskHolds,
    AskTold,
    Enter,
    Erase,
    PlaceHold,
    Purge,
    ReleaseHold,
)
from greffier.control.transfer import (
    AskEntries,
    AskLeaves,
    AskPart,
    AskSync,
    AskWork,
    Cosigned,
    Receipts,
    SyncNow,
    SyncPause,
    SyncReport,
)
from greffier.errors import BadConfig
from greffier.language import translate

_CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid

WATCH = (AskStatus, AskLevels, AskAlarms, AskSync)
OPERATE = (Acknowledge, Pause, Resume, Replay, SyncNow, SyncPause, AdoptPolicy)
STOP = (Stop,)
RETAIN = (Purge, PlaceHold, ReleaseHold, Erase, Enter, AskHolds, AskTold)
TELL = (Tell, AskCalls, AskInstructions, Acted)
SYNC = (AskWork, AskPart, AskEntries, AskLeaves, Receipts, Cosigned, SyncReport)


@dataclass(frozen=True, slots=True)
class Access:
    """Users who may watch; who may operate too; who may stop too. ``masters`` may everything.

    ``retain`` is who may delete, hold and erase, and may only that. ``sync`` is who carries parts
    and log to head office, and may only that. ``tell`` is who tells facts about calls.
    """

    masters: frozenset[int]
    watch: frozenset[int] = frozenset()
    operate: frozenset[int] = frozenset()
    stop: frozenset[int] = frozenset()
    sync: frozenset[int] = frozenset()
    retain: frozenset[int] = frozenset()
    tell: frozenset[int] = frozenset()

    def allows(self, uid: int, request: Request) -> bool:
        """Whether the user *uid* may make this *request*."""
        if uid in self.masters:
            return True
        if isinstance(request, WATCH):
            return uid in self.watch | self.operate | self.stop | self.tell
        if isinstance(request, OPERATE):
            return uid in self.operate | self.stop
        if isinstance(request, RETAIN):
            return uid in self.retain
        if isinstance(request, TELL):
            return uid in self.tell
        if isinstance(request, SYNC):
            return uid in self.sync
        return isinstance(request, STOP) and uid in self.stop


def of_config(config: Config) -> Access:
    """The access that *config* gives; root and this process's user may everything.

    Raises BadConfig where a user does not exist.
    """
    control = config.control
    return Access(
        frozenset({0, os.geteuid()}),
        watch=_uids(config, "control.watch", control.watch),
        operate=_uids(config, "control.operate", control.operate),
        stop=_uids(config, "control.stop", control.stop),
        sync=_uids(config, "control.sync", control.sync),
        retain=_uids(config, "control.retain", control.retain),
        tell=_uids(config, "control.tell", control.tell),
    )


def peer_uid(connection: socket.socket) -> int:
    """The user at the other end of a Unix socket, when it connected."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid: int = _CREDENTIALS.unpack(raw)[1]
    return uid


def _uids(config: Config, key: str, users: Iterable[str | int]) -> frozenset[int]:
    found = set()
    for user in users:
        try:
            found.add(user if isinstance(user, int) else pwd.getpwnam(user).pw_uid)
        except KeyError:
            reason = translate("{key}: there is no user {user}").format(key=key, user=user)
            raise BadConfig(path=config.path, reason=reason) from None
    return frozenset(found)
