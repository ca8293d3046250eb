"""What the entries of a replicated log say of calls and parts, as rows of the catalogue.

Called inside the transaction that makes the entries part of the log: the rows never say more, nor
less, than the log. An entry of another kind changes nothing here. Entries may be narrated again,
from one on to the newest (greffier_office.catching_up): the rows are the same after that.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable

from greffier.audit.entry import Entry
from greffier.audit.origins import TOLERANCE_NS
from greffier.policy.lifecycle import DAY_NS
from greffier_office.disposal import FOR_ROOM


def narrate(db: sqlite3.Connection, device: str, entries: Iterable[Entry]) -> None:
    """Bring the rows of *device* up to date with its next *entries*, in order."""
    for entry in entries:
        told = _KINDS.get(entry.ev)
        if told is not None:
            told(db, device, entry)


def _decided(db: sqlite3.Connection, device: str, entry: Entry) -> None:
    """A verdict may come again (other facts): the call keeps its beginning."""
    data = entry.data
    db.execute(
        "INSERT INTO calls VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6, NULL, ?7, ?8, ?9, ?10, NULL)"
        " ON CONFLICT (device, uid) DO UPDATE SET record = ?5, codes = ?6,"
        " recording = coalesce(?7, recording), policy = ?8, policy_version = ?9, decided_seq = ?10",
        (
            device,
            data["uid"],
            data["line"],
            data.get("at_ns", entry.t_ns),
            data["record"],
            json.dumps(data["codes"]),
            data.get("recording"),
            data.get("policy"),
            data.get("policy_version"),
            entry.seq,
        ),
    )


def _ended(db: sqlite3.Connection, device: str, entry: Entry) -> None:
    data = entry.data
    codes = data.get("codes")
    db.execute(
        "INSERT INTO calls VALUES"
        " (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8, NULL, NULL, NULL, ?9)"
        " ON CONFLICT (device, uid) DO UPDATE SET end_ns = ?4,"
        " record = coalesce(?10, record), codes = coalesce(?11, codes), result = ?7,"
        " recording = coalesce(?8, recording), ended_seq = ?9",
        (
            device,
            data["uid"],
            data.get("line", data["uid"].split("/")[1]),
            entry.t_ns,
            data.get("record", "none"),
            json.dumps(codes or []),
            data["result"],
            data.get("recording"),
            entry.seq,
            data.get("record"),
            None if codes is None else json.dumps(codes),
        ),
    )


def _opened(db: sqlite3.Connection, device: str, entry: Entry) -> None:
    """A part is opened once: a second such entry changes nothing."""
    data = entry.data
    db.execute(
        "INSERT INTO parts (device, part, recording, number, uid, class, commitment, envelope,"
        " opened_seq, line, created_ns, until_ns)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        " ON CONFLICT (device, part) DO UPDATE SET recording = ?3, number = ?4, uid = ?5,"
        " class = ?6, commitment = ?7, envelope = ?8, opened_seq = ?9, line = ?10,"
        " created_ns = ?11, until_ns = ?12"
        " WHERE opened_seq IS NULL",
        (
            device,
            data["part"],
            data["recording"],
            data["number"],
            data.get("uid"),
            data.get("class"),
            data.get("commitment"),
            data.get("envelope"),
            entry.seq,
            data.get("line"),
            _created_ns(entry),
            data.get("until_ns"),
        ),
    )


def _created_ns(entry: Entry) -> int | None:
    """When a part was created, as far as that is certain: its box's wall clock may be years behind,
    but not behind the lower bound of trusted time of that very moment (docs/retention.md)."""
    said: int | None = entry.data.get("created_ns")
    if said is None or said >= entry.t_lb_ns - TOLERANCE_NS:
        return said
    return entry.t_lb_ns


def _closed(db: sqlite3.Connection, device: str, entry: Entry) -> None:
    """The last word counts (a part may be recovered after it was sealed), until it is stored."""
    data = entry.data
    db.execute(
        "INSERT INTO parts (device, part, recording, number, closed_seq, bytes, sha256, end)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
        " ON CONFLICT (device, part) DO UPDATE SET closed_seq = ?5, bytes = ?6, sha256 = ?7,"
        " end = ?8 WHERE stored_ns IS NULL",
        (
            device,
            data["part"],
            data.get("recording", ""),
            data.get("number", 0),
            entry.seq,
            data["bytes"],
            data["sha256"],
            data.get("end"),
        ),
    )


def _shredded(db: sqlite3.Connection, device: str, entry: Entry) -> None:
    """The first reason that asks head office for the same counts."""
    reason = entry.data["reason"]
    asked = None if reason in FOR_ROOM else reason
    db.executemany(
        "UPDATE parts SET shredded_seq = ?, shredded = coalesce(shredded, ?)"
        " WHERE device = ? AND part = ?",
        [(entry.seq, asked, device, part) for part in entry.data.get("parts", ())],
    )


def _held(db: sqlite3.Connection, device: str, entry: Entry) -> None:
    """A hold on the recording, or on some of its parts; the first of an id counts."""
    data = entry.data
    done = db.execute(
        "INSERT OR IGNORE INTO holds VALUES (?, ?, ?, ?, NULL)",
        # As early as it may have been, and below as late: a claim is never counted short.
        (device, data["hold"], data["mode"], entry.t_lb_ns),
    )
    if done.rowcount:
        names = data.get("parts") or [data[key] for key in ("recording",) if key in data]
        db.executemany(
            "INSERT OR IGNORE INTO held VALUES (?, ?, ?)",
            [(device, name, data["hold"]) for name in names],
        )


def _told(db: sqlite3.Connection, device: str, entry: Entry) -> None:
    """A fact that makes a duty's term longer holds the recording until the new minimum."""
    data = entry.data
    if not {"recording", "min_days", "from_ns"} <= data.keys():
        return
    until_ns = data["from_ns"] + data["min_days"] * DAY_NS
    db.execute(
        "INSERT OR IGNORE INTO holds VALUES (?, ?, 'floor', ?, ?)",
        (device, data["id"], entry.t_lb_ns, until_ns),
    )
    db.execute(
        "INSERT OR IGNORE INTO held VALUES (?, ?, ?)", (device, data["recording"], data["id"])
    )


def _released(db: sqlite3.Connection, device: str, entry: Entry) -> None:
    db.execute(
        "UPDATE holds SET until_ns = max(since_ns, ?)"
        " WHERE device = ? AND hold = ? AND until_ns IS NULL",
        (max(entry.t_lb_ns, entry.t_ns), device, entry.data["hold"]),
    )


def _epoch(db: sqlite3.Connection, device: str, entry: Entry) -> None:
    """Its commitment stands in the log; nobody has cosigned it yet. The first of a name counts."""
    db.execute(
        "INSERT OR IGNORE INTO witnessed VALUES (?, ?, ?, NULL, NULL)",
        (device, entry.data["epoch"], entry.seq),
    )


def witness(db: sqlite3.Connection, device: str, size: int, now_ns: int) -> None:
    """The first *size* entries are cosigned, and all commitments in them from now on."""
    db.execute(
        "UPDATE witnessed SET size = ?, at_ns = ? WHERE device = ? AND size IS NULL AND seq < ?",
        (size, now_ns, device, size),
    )


_KINDS: dict[str, Callable[[sqlite3.Connection, str, Entry], None]] = {
    "call.decided": _decided,
    "call.ended": _ended,
    "call.fact": _told,
    "part.opened": _opened,
    "part.sealed": _closed,
    "part.recovered": _closed,
    "key.shredded": _shredded,
    "epoch.opened": _epoch,
    "hold.placed": _held,
    "hold.released": _released,
}
