"""``greffier-office fleet``: each box, whether it is there, and what is not as it should be."""

import time
from pathlib import Path
from typing import Any

import click

from greffier.cli.output import answer, json_option, table
from greffier.clock import SECOND, format_time
from greffier.durable import Disk
from greffier.language import translate as _
from greffier_office import place
from greffier_office.office_init import office_option
from greffier_office.stored import Holdings

_DAY_NS = 86_400 * SECOND
SILENT_NS = 15 * 60 * SECOND
"""A box speaks each minute; one of which so long nothing was heard is an alarm."""
EXPIRES_NS = 30 * _DAY_NS
OLD_NS = 2 * _DAY_NS
"""Of parts that wait, and of refusals: a box offers what was refused again after a day."""
RESERVE = 1 << 30
_FLEET = """
SELECT d.device, d.label, d.enrolled_ns, d.revoked_ns, p.online, p.heard_ns, p.version,
       p.log_size AS said_size, p.parts AS said_parts, p.bytes AS said_bytes, p.oldest_ns,
       l.size, l.head_size, l.cosigned_size, l.cosigned_ns,
       (SELECT min(not_after_ns) FROM certificates AS c
         WHERE c.serial IN (d.control_serial, d.bulk_serial)) AS certificate_end_ns,
       (SELECT count(*) FROM forks AS f WHERE f.device = d.device) AS forks,
       (SELECT count(*) FROM unread AS u WHERE u.device = d.device) AS unread,
       (SELECT sum(times) FROM refusals AS r WHERE r.device = d.device) AS refused,
       (SELECT max(last_ns) FROM refusals AS r WHERE r.device = d.device) AS refused_ns,
       (SELECT count(*) FROM parts AS x WHERE x.device = d.device
         AND x.stored_ns IS NULL AND x.closed_seq IS NOT NULL AND x.bytes > 0
         AND x.shredded_seq IS NULL AND NOT EXISTS (SELECT 1 FROM deletions AS y
           WHERE y.device = x.device AND y.part = x.part)) AS waiting,
       (SELECT sum(bytes) FROM parts AS x WHERE x.device = d.device
         AND x.stored_ns IS NULL AND x.closed_seq IS NOT NULL
         AND x.shredded_seq IS NULL AND NOT EXISTS (SELECT 1 FROM deletions AS y
           WHERE y.device = x.device AND y.part = x.part)) AS waiting_bytes,
       (SELECT count(*) FROM parts AS x WHERE x.device = d.device
         AND x.stored_ns IS NOT NULL) AS stored,
       (SELECT count(*) FROM deletions AS y WHERE y.device = d.device) AS deleted,
       (SELECT count(*) FROM deletions AS y WHERE y.device = d.device
         AND y.done_ns IS NULL) AS deleting,
       (SELECT min(at_ns) FROM deletions AS y WHERE y.device = d.device
         AND y.done_ns IS NULL) AS deleting_ns,
       (SELECT count(*) FROM parts AS x WHERE x.device = d.device AND x.stored_ns IS NOT NULL
         AND (x.due_ns BETWEEN 0 AND ? OR x.shredded IS NOT NULL)) AS to_delete
FROM devices AS d LEFT JOIN presence AS p USING (device) LEFT JOIN logs AS l USING (device)
ORDER BY d.device
"""


def boxes(held: Holdings, now_ns: int) -> list[dict[str, Any]]:
    """Each box as it is printed."""
    return [_box(dict(row), held, now_ns) for row in held.db.execute(_FLEET, (now_ns,))]


def _box(row: dict[str, Any], held: Holdings, now_ns: int) -> dict[str, Any]:
    cosigned_ns = row["cosigned_ns"] or None
    value: dict[str, Any] = {
        "device": row["device"],
        "label": row["label"],
        "revoked": row["revoked_ns"] is not None,
        "online": bool(row["online"]),
        "heard": _time(row["heard_ns"]),
        "version": row["version"],
        "log_size": row["size"] or 0,
        "cosigned_size": row["cosigned_size"] or 0,
        "cosigned_age_s": None if cosigned_ns is None else (now_ns - cosigned_ns) // SECOND,
        "stored": row["stored"],
        "deleted": row["deleted"],
        "deleting": row["deleting"],
        "to_delete": row["to_delete"],
        "waiting": row["waiting"],
        "waiting_bytes": row["waiting_bytes"] or 0,
        "said": None
        if row["heard_ns"] is None
        else {
            "parts": row["said_parts"],
            "bytes": row["said_bytes"],
            "oldest": _time(row["oldest_ns"] or None),
            "log_size": row["said_size"],
        },
        "forks": [
            {"reason": one["reason"], "first": _time(one["first_ns"]), "times": one["times"]}
            for one in held.db.execute(
                "SELECT reason, first_ns, times FROM forks WHERE device = ? ORDER BY first_ns",
                (row["device"],),
            )
        ],
        "refused": row["refused"] or 0,
        "unread": row["unread"],
        "certificate_end": _time(row["certificate_end_ns"]),
    }
    return {**value, "alarms": [] if value["revoked"] else _alarms(row, now_ns)}


def _alarms(row: dict[str, Any], now_ns: int) -> list[str]:
    found = []
    if row["forks"]:
        found.append("fork")
    if row["unread"]:
        found.append("unread")
    if row["refused_ns"] and now_ns - row["refused_ns"] < OLD_NS:
        found.append("refused")
    if row["heard_ns"] is None or now_ns - row["heard_ns"] > SILENT_NS or not row["online"]:
        found.append("silent")
    if (row["size"] or 0) < (row["said_size"] or 0) and row["online"]:
        found.append("log_behind")
    if row["deleting_ns"] and now_ns - row["deleting_ns"] > _DAY_NS:
        found.append("deletion")
    if row["oldest_ns"] and now_ns - row["oldest_ns"] > OLD_NS:
        found.append("backlog")
    end_ns = row["certificate_end_ns"]
    if end_ns is not None and end_ns - now_ns < EXPIRES_NS:
        found.append("certificate")
    return found


def _time(t_ns: int | None) -> str | None:
    return None if t_ns is None else format_time(t_ns, digits=0)


@click.command(help=_("Show each box: is it there, what waits, what is wrong."))
@office_option
@json_option
def command(office: Path, as_json: bool) -> int:
    """Run it."""
    with Holdings.open(place.open(office), Disk()) as held:
        found = boxes(held, time.time_ns())
        free = held.objects.free()
    alarms = ["space"] if free is not None and free < RESERVE else []
    value = {"boxes": found, "free_bytes": free, "alarms": alarms}
    answer(value, as_json, lambda: _text(value))
    return 0


def _text(value: dict[str, Any]) -> str:
    rows = [
        [
            box["device"],
            box["label"] or "-",
            _("revoked") if box["revoked"] else _("online") if box["online"] else _("offline"),
            box["heard"] or "-",
            f"{box['log_size']} ({box['cosigned_size']})",
            box["stored"],
            box["waiting"],
            f"{box['deleted']} (+{box['deleting'] + box['to_delete']})",
            box["certificate_end"] or "-",
            ", ".join(_words(box["alarms"])) or "-",
        ]
        for box in value["boxes"]
    ]
    headings = [_("device"), _("label"), _("state"), _("heard"), _("log (cosigned)")]
    headings += [_("held"), _("waits"), _("deleted (pending)"), _("certificate until"), _("alarms")]
    lines = [table(headings, rows)]
    if "space" in value["alarms"]:
        lines.append(_("Alarm: the disk is almost full; parts have to wait."))
    return "\n".join(lines)


def _words(alarms: list[str]) -> list[str]:
    words = {
        "fork": _("its log was forked"),
        "refused": _("offers were refused"),
        "unread": _("its log has entries for a newer version: update head office"),
        "silent": _("nothing is heard of it"),
        "log_behind": _("its log is not here"),
        "deletion": _("a deletion is not finished"),
        "backlog": _("parts wait too long"),
        "certificate": _("its certificate ends soon"),
    }
    return [words[one] for one in alarms]
