"""``greffier-office calls``: every call of every box, as far as its log is here."""

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, json_option, table
from greffier.clock import format_time
from greffier.durable import Disk
from greffier.errors import GreffierError
from greffier.language import translate as _
from greffier.seal import keys
from greffier.seal.frames import Meta
from greffier.seal.header import BadPart
from greffier.seal.keys import Keyring, Opener, Role
from greffier.seal.reader import Reader
from greffier.store import playback
from greffier_office import place
from greffier_office.office_init import office_option
from greffier_office.stored import Holdings, StoredPart

# The first frame of a part says who called whom; with the header it is in the first octets.
_BEGINNING = 1 << 18


def list_calls(held: Holdings, device: str | None, private: Opener | None) -> list[dict[str, Any]]:
    """Every call (of *device*), in order of time. Raises BadDatabase, StorageFailed."""
    parts: dict[tuple[str, str], list[StoredPart]] = {}
    for part in held.parts(device):
        parts.setdefault((part.device, part.recording), []).append(part)
    found = held.db.execute(
        "SELECT * FROM calls WHERE ?1 IS NULL OR device = ?1 ORDER BY start_ns, device, uid",
        (device,),
    )
    calls = []
    for row in found:
        own = parts.get((row["device"], row["recording"]), []) if row["recording"] else []
        about = _about(held, own, private) if private else {}
        calls.append(_as_json(row, own, about))
    return calls


def _as_json(row: sqlite3.Row, parts: list[StoredPart], about: Mapping[str, Any]) -> dict[str, Any]:
    end = row["end_ns"]
    return {
        "device": row["device"],
        "uid": row["uid"],
        "line": row["line"],
        "call_id": about.get("call_id"),
        "from": about.get("from"),
        "to": about.get("to"),
        "start": format_time(row["start_ns"]),
        "end": None if end is None else format_time(end),
        "duration_s": None if end is None else max(end - row["start_ns"], 0) / 1e9,
        "result": row["result"],
        "record": row["record"],
        "codes": json.loads(row["codes"]),
        "recording": row["recording"],
        "policy": row["policy"],
        "policy_version": row["policy_version"],
        "parts": [part_json(part) for part in parts],
    }


def part_json(part: StoredPart) -> dict[str, Any]:
    """One part as the commands of head office print it."""
    return {
        "part": part.part,
        "stored": part.stored_ns is not None,
        "stored_at": _time(part.stored_ns),
        "deleted": _time(part.deleted_ns),
        "rule": part.rule,
        "gone": _time(part.done_ns),
        "bytes": part.size,
        "codec": part.codec,
        "purposes": {name: part.purposes[name] for name in sorted(part.purposes)},
        "min_until": _time(part.min_until_ns),
        "max_until": _time(part.max_until_ns),
    }


def _time(t_ns: int | None) -> str | None:
    return None if t_ns is None else format_time(t_ns, digits=0)


def _about(held: Holdings, parts: list[StoredPart], private: Opener) -> Mapping[str, Any]:
    """Who called whom, of the first part that is here and says so; nothing where none does."""
    for part in parts:
        if part.stored_ns is None:
            continue
        try:
            block = held.envelope(part)
            if block is None:
                continue
            reader = Reader(held.beginning(part, _BEGINNING))
            opened = reader.open(playback.content_key(reader.header, block, private))
            try:
                content = opened.frame(0).content
            finally:
                opened.close()
        except (GreffierError, BadPart, ValueError):
            continue  # another key, or damage, which `verify` names; the call is shown all the same
        if isinstance(content, Meta):
            return content.value
    return {}


@click.command(help=_("List every call of every box: recorded or not, why, and what is here."))
@office_option
@click.option("--device", help=_("of this device"))
@click.option(
    "--key",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help=_("secret key (office.key); several, where it was replaced"),
)
@json_option
def command(office: Path, device: str | None, files: tuple[Path, ...], as_json: bool) -> int:
    """Run it."""
    found = [keys.read_private(key, Role.OFFICE) for key in files]
    private = Keyring(found) if found else None
    with Holdings.open(place.open(office), Disk()) as held:
        calls = list_calls(held, device, private)
        unseen = list_unseen(held, device)
    answer({"calls": calls, "unseen": unseen}, as_json, lambda: _text(calls, unseen))
    return 0


def list_unseen(held: Holdings, device: str | None) -> list[dict[str, Any]]:
    """Calls that another system's records name and a box (*device*) never saw, flagged by
    ``reconcile``: when they were by the box's clock, and where they stand in which file.
    """
    rows = held.db.execute(
        "SELECT * FROM unseen WHERE ?1 IS NULL OR device = ?1 ORDER BY start_ns, device, row",
        (device,),
    )
    return [
        {
            "device": row["device"],
            "start": format_time(row["start_ns"], digits=0),
            "duration_s": None if row["duration_ms"] is None else row["duration_ms"] / 1000,
            "state": row["state"],
            "source_sha256": row["source"],
            "row": row["row"],
            "found": format_time(row["found_ns"], digits=0),
        }
        for row in rows
    ]


def _text(calls: list[dict[str, Any]], unseen: list[dict[str, Any]]) -> str:
    rows = []
    for call in calls:
        here = sum(part["stored"] for part in call["parts"])
        gone = sum(part["deleted"] is not None for part in call["parts"])
        rows.append(
            [
                call["start"],
                call["device"],
                call["line"],
                call["from"] or "-",
                call["to"] or "-",
                "-" if call["duration_s"] is None else f"{call['duration_s']:.1f} s",
                call["result"] or "-",
                call["record"],
                " ".join(call["codes"]),
                call["recording"] or "-",
                f"{here}/{len(call['parts'])}" if call["parts"] else "-",
                gone or "-",
            ]
        )
    headings = [_("start"), _("device"), _("line"), _("from"), _("to"), _("length"), _("result")]
    headings += [_("verdict"), _("why"), _("recording"), _("here"), _("deleted")]
    words = {"missing": _("the box never saw it"), "ambiguous": _("the box may not have seen it")}
    flagged = [f"{one['start']} {one['device']}: {words[one['state']]}" for one in unseen]
    return "\n".join([table(headings, rows), *flagged])
