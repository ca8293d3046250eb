"""The inspection dossier: what a recorder can show of itself without a key. Reads only.

The same log and the same files make the same octets: nothing in it is of the moment it was made.
Format: docs/access.md section 4.
"""

import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from greffier import merkle
from greffier.audit import note, segments, verify
from greffier.audit.entry import Entry, encode
from greffier.audit.recovery import COSIGNED
from greffier.audit.requests import Register
from greffier.audit.shares import Share, shares
from greffier.clock import format_time
from greffier.errors import IntegrityError
from greffier.policy.phrases import LANGUAGES, Phrases, page, table
from greffier.recorder.handover import archive_of
from greffier.store.layout import DataDirectory

SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "policies": ("policy.adopted", "policy.refused"),
    "purges": ("key.shredded", "deletion.aborted", "deletion.confirmed"),
    "accesses": ("export", "access", "replay", "access.broken_glass"),
    "requests": (
        "request.opened",
        "request.identified",
        "request.extended",
        "request.answered",
        "erasure.decided",
        "use.restricted",
        "use.freed",
    ),
    "holds": ("hold.placed", "hold.released"),
    "roles": ("role.granted", "role.revoked", "access.agreed"),
    "gaps": ("coverage", "storage.outage"),
}
_GAPS: Final = ("lost", "blind", "off", "paused")
_LEAF: Final = 32
_SHOWN: Final = 500
"""Rows of a table of the page; the JSON beside it has all."""


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when a dossier tells, ns."""

    from_ns: int = 0
    to_ns: int = 2**63 - 1


@dataclass(slots=True)
class Gathered:
    """What the log tells, section by section."""

    size: int
    until_ns: int = 0
    sections: dict[str, list[Entry]] = field(default_factory=dict)
    shares: list[Share] = field(default_factory=list)
    register: Register = field(default_factory=Register)


def make(
    data: DataDirectory,
    span: Span,
    papers: Mapping[str, bytes],
    targets: Mapping[str, float],
) -> tuple[bytes, Gathered]:
    """The ZIP, and what was found. *papers*: files that go with it, such as policies and notices;
    *targets*: the rate that is wanted, by line.

    Raises IntegrityError, also where an entry is not the one whose hash the tree has.
    """
    proofs = _proofs(data)
    checkpoint = note.parse_checkpoint(note.parse(proofs["audit/checkpoint"]).text)
    found = _gather(data, checkpoint.size, span)
    files = dict(papers) | proofs
    quoted = sorted(
        (one for entries in found.sections.values() for one in entries), key=lambda one: one.seq
    )
    _check(quoted, proofs["audit/leaves"], data)
    files["entries.jsonl"] = b"".join(encode(one) + b"\n" for one in quoted)
    for name, entries in found.sections.items():
        files[f"{name}.json"] = _json([_told(one) for one in entries])
    files["shares.json"] = _json([_share(one, targets) for one in found.shares])
    files["register.json"] = _json(_register(found))
    for language in LANGUAGES:
        files[f"index.{language}.html"] = _page(data, found, span, targets, files, language)
    return archive_of(files), found


def _proofs(data: DataDirectory) -> dict[str, bytes]:
    """The signed checkpoint, the leaves that it covers, and the public keys."""
    folder = data.audit
    try:
        signed = (folder / segments.CHECKPOINT).read_bytes()
        size = note.parse_checkpoint(note.parse(signed).text).size
        with (folder / segments.LEAVES).open("rb") as file:
            leaves = file.read(size * _LEAF)
        keys = data.log_public.read_bytes()
    except OSError as error:
        raise IntegrityError(what=folder, reason=error.strerror) from error
    except note.BadNote as error:
        raise IntegrityError(what=folder, reason=error.reason) from error
    found = {"audit/checkpoint": signed, "audit/leaves": leaves, "keys/log.pub": keys}
    for name, path in (
        ("audit/cosigned", folder / COSIGNED),
        ("keys/head-office.pub", data.head_office),
    ):
        if path.is_file():
            found[name] = path.read_bytes()
    return found


def _gather(data: DataDirectory, size: int, span: Span) -> Gathered:
    found = Gathered(size, sections={name: [] for name in SECTIONS})
    section_of = {kind: name for name, kinds in SECTIONS.items() for kind in kinds}

    def counted() -> Iterable[Entry]:
        for entry in verify.entries(data.path):
            if entry.seq >= size:
                return
            found.until_ns = max(found.until_ns, entry.t_ns)
            found.register.read(entry)
            name = section_of.get(entry.ev)
            gap = entry.ev != "coverage" or entry.data["state"] in _GAPS
            if name and gap and span.from_ns <= entry.t_ns < span.to_ns:
                found.sections[name].append(entry)
            yield entry

    found.shares = shares(counted(), span.from_ns, span.to_ns)
    return found


def _check(quoted: Sequence[Entry], leaves: bytes, data: DataDirectory) -> None:
    for one in quoted:
        leaf = leaves[one.seq * _LEAF : (one.seq + 1) * _LEAF]
        if merkle.leaf_hash(encode(one)) != leaf:
            raise IntegrityError(what=data.audit, reason=f"entry {one.seq} was altered")


def _told(entry: Entry) -> dict[str, Any]:
    times = {
        key.removesuffix("_ns"): format_time(value, digits=0)
        for key, value in entry.data.items()
        if key.endswith("_ns") and isinstance(value, int)
    }
    rest = {key: value for key, value in entry.data.items() if not key.endswith("_ns")}
    head = {"entry": entry.seq, "at": format_time(entry.t_ns, digits=0), "kind": entry.ev}
    return head | rest | times


def _share(one: Share, targets: Mapping[str, float]) -> dict[str, Any]:
    low, high = one.interval
    target = targets.get(one.line)
    return {
        "line": one.line,
        "stratum": one.stratum,
        "calls": one.calls,
        "drawn": one.drawn,
        "recorded": one.recorded,
        "share": round(one.share, 6),
        "interval_95": [round(low, 6), round(high, 6)],
        "target": target,
        "within": None if target is None else low <= target <= high,
    }


def _register(found: Gathered) -> list[dict[str, Any]]:
    return [
        {
            "request": one.request,
            "kind": one.kind,
            "party": one.party,
            "state": one.state(found.until_ns),
            "received": format_time(one.received_ns, digits=0),
            "due": format_time(one.due_ns, digits=0),
            "outcome": one.outcome or None,
            "codes": list(one.answers),
        }
        for one in found.register
    ]


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def _page(
    data: DataDirectory,
    found: Gathered,
    span: Span,
    targets: Mapping[str, float],
    files: Mapping[str, bytes],
    language: str,
) -> bytes:
    say = Phrases("dossier", language)
    title = say("title", device=data.identity.device)
    until = format_time(found.until_ns, digits=0)
    body = [f"<h1>{html.escape(title)}</h1>"]
    body.append(f"<p>{html.escape(say('intro', size=found.size, until=until))}</p>")
    if span != Span():
        since = format_time(span.from_ns, digits=0)
        to = format_time(min(span.to_ns, found.until_ns), digits=0)
        body.append(f"<p>{html.escape(say('span', since=since, until=to))}</p>")
    body.append(_heading(say, "shares"))
    names = ("line", "calls", "drawn", "share", "interval", "target")
    rows = [_share_row(_share(one, targets)) for one in found.shares]
    body.append(table([say(f"columns.{one}") for one in names], rows) if rows else _none(say))
    for name, entries in found.sections.items():
        body.append(_heading(say, name))
        body.append(_entries(say, entries) if entries else _none(say))
    body.append(_heading(say, "files"))
    links = (
        f'<li><a href="{html.escape(name)}">{html.escape(name)}</a> '
        f"<code>{hashlib.sha256(content).hexdigest()}</code></li>"
        for name, content in sorted(files.items())
        if not name.startswith("index.")
    )
    body.append("<ul>" + "\n".join(links) + "</ul>")
    body.append(f"<p>{html.escape(say('proof'))}</p>")
    return page(title, language, body).encode()


def _heading(say: Phrases, name: str) -> str:
    return f"<h2>{html.escape(say(f'parts.{name}'))}</h2>"


def _none(say: Phrases) -> str:
    return f"<p>{html.escape(say('nothing'))}</p>"


def _share_row(one: Mapping[str, Any]) -> list[object]:
    low, high = one["interval_95"]
    wanted = "-" if one["target"] is None else f"{100 * one['target']:g} %"
    named = one["line"] if one["stratum"] == one["line"] else f"{one['line']} ({one['stratum']})"
    interval = f"{100 * low:.1f} – {100 * high:.1f} %"
    return [named, one["calls"], one["drawn"], f"{100 * one['share']:.1f} %", interval, wanted]


def _entries(say: Phrases, entries: Sequence[Entry]) -> str:
    rows = []
    for entry in entries[-_SHOWN:]:
        told = _told(entry)
        rest = {key: value for key, value in told.items() if key not in ("entry", "at", "kind")}
        words = "; ".join(f"{key} {_short(value)}" for key, value in sorted(rest.items()))
        rows.append([told["entry"], told["at"], told["kind"], words])
    return table([say(f"columns.{one}") for one in ("entry", "time", "kind", "told")], rows)


def _short(value: object) -> str:
    if isinstance(value, list):
        return f"[{len(value)}]" if len(value) > 4 else ", ".join(map(_short, value))
    text = str(value)
    return f"{text[:12]}…" if len(text) > 24 and " " not in text else text
