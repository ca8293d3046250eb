"""``greffier calls``: every call, recorded or not, and why."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from greffier.audit.kinds import RECORDS, RESULTS
from greffier.cli.coverage import instant
from greffier.cli.opening import opener, operator_option
from greffier.cli.output import answer, data_option, json_option, table
from greffier.cli.unlocking import Sources, key_option, passphrase_option
from greffier.clock import SystemClock, format_time
from greffier.durable import Disk
from greffier.errors import IntegrityError, StorageFailed, UsageError
from greffier.language import translate as _
from greffier.recorder.archive import Archive
from greffier.recorder.exporting import note_access
from greffier.recorder.people import About, about_calls
from greffier.recorder.reindex import reindex
from greffier.recorder.report import as_json as call_json
from greffier.seal.keys import Opener
from greffier.store import layout
from greffier.store.index import CallRow, Index, PartRow
from greffier.store.layout import DataDirectory
from greffier.store.rebuild import lags
from greffier.store.search import LATEST, MOST, Place, Query

PAGE = 50
"""Calls of a page, where nobody says how many."""


def part_json(part: PartRow) -> dict[str, Any]:
    """One part as the commands print it."""
    until = part.max_until_ns
    return {
        "part": part.part_id,
        "purposes": {name: list(days) for name, days in sorted(part.purposes.items())},
        "min_until": format_time(part.min_until_ns, digits=0),
        "max_until": None if until is None else format_time(until, digits=0),
        "holds": list(part.holds),
        "synced": part.synced,
        "complete": part.complete,
        "bytes": part.size,
        "codec": part.codec,
    }


def row_json(row: CallRow, about: Mapping[str, Any] | None) -> dict[str, Any]:
    """One call with its parts. Raises IntegrityError for a record that is none of ours."""
    try:
        shown = call_json(row.clear, about)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = "its record lacks what a call has"
        raise IntegrityError(what=f"call {row.uid}", reason=reason) from error
    return {**shown, "line": row.line, "parts": [part_json(part) for part in row.parts]}


def list_calls(directory: DataDirectory, private: Opener | None) -> list[dict[str, Any]]:
    """Every call, in order of time; the lock is held meanwhile. Raises Busy, StorageFailed."""
    disk = Disk()
    with directory.lock(disk):
        shred = directory.shred_store(disk, whole=False)
        try:
            index = Index.open(directory.index, disk)
            rows = [] if index.fresh else index.calls()
            begun_anew = index.fresh
            index.close()
            if begun_anew or (private and lags(directory, rows)):
                reindex(directory, disk, shred)
                index = Index.open(directory.index, disk)
                rows = index.calls()
                index.close()
            told = about_calls(directory, shred, private, rows) if private else {}
        finally:
            shred.close()
    return [row_json(row, about_of(row, told)) for row in rows]


def search_calls(
    directory: DataDirectory, private: Opener | None, query: Query
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of the calls that *query* asks for, and where the next one begins, if there is one.

    The lock is held meanwhile. Raises Busy, StorageFailed, IntegrityError.
    """
    disk = Disk()
    with directory.lock(disk):
        rows = _searched(directory, disk, replace(query, limit=query.limit + 1))
        page = rows[: query.limit]
        told: Mapping[tuple[str, int], About] = {}
        if private and page:
            shred = directory.shred_store(disk, whole=False)
            try:
                told = about_calls(directory, shred, private, page)
            finally:
                shred.close()
    more = len(rows) > len(page)
    shown = [row_json(row, about_of(row, told)) for row in page]
    return shown, f"{page[-1].start_ns}:{page[-1].uid}" if more else None


def _searched(directory: DataDirectory, disk: Disk, query: Query) -> list[CallRow]:
    """What the index has; one that is damaged, or not there, is made anew."""
    index = Index.open(directory.index, disk, whole=False)
    try:
        if not index.fresh:
            return index.search(query)
    except StorageFailed:
        index.close()
        index = Index.open(directory.index, disk, whole=False)
        if not index.fresh:  # it was not the index that failed
            raise
    finally:
        index.close()
    shred = directory.shred_store(disk, whole=False)
    try:
        reindex(directory, disk, shred)
    finally:
        shred.close()
    index = Index.open(directory.index, disk, whole=False)
    try:
        return index.search(query)
    finally:
        index.close()


def about_of(row: CallRow, told: Mapping[tuple[str, int], About]) -> About | None:
    """What is known of the people of a call: a restart may have left it in an earlier record."""
    own = told.get((row.epoch, row.record))
    earlier = row.clear.get("about")
    if not earlier:
        return own
    before = told.get((earlier[0], earlier[1]), {})
    return {**before, **{key: value for key, value in (own or {}).items() if value}}


@click.command(help=_("List every call, recorded or not, and why."))
@data_option
@click.option(
    "--key", type=click.Path(path_type=Path), help=_("secret key that opens names and numbers")
)
@operator_option
@passphrase_option
@key_option
@click.option("--from", "from_text", help=_("only calls that began then or later (RFC 3339)"))
@click.option("--to", "to_text", help=_("only calls that began before (RFC 3339)"))
@click.option("--line", help=_("only calls of this line"))
@click.option("--code", "codes", multiple=True, help=_("only calls with this reason code"))
@click.option("--verdict", type=click.Choice(RECORDS), help=_("only calls with this verdict"))
@click.option("--result", type=click.Choice(RESULTS), help=_("only calls with this result"))
@click.option("--direction", type=click.Choice(("in", "out", "int")), help=_("only calls that way"))
@click.option(
    "--limit", type=click.IntRange(1, MOST - 1), help=_("so many calls at most, the latest first")
)
@click.option("--after", help=_("go on behind the page that named this as its next"))
@json_option
def command(
    data: str,
    key: Path | None,
    operator: str | None,
    passphrases: tuple[str, ...],
    key_files: tuple[str, ...],
    as_json: bool,
    **wanted: Any,
) -> int:
    """Run it: any condition makes it a search, of which the latest call comes first."""
    query = _query(**wanted) if any(wanted.values()) else None
    directory = layout.open(Path(data))
    private = opener(directory, key, operator, Sources(passphrases, key_files))
    if private is not None and operator is not None:
        with Archive.open(directory.path, SystemClock()) as archive:
            note_access(archive, "calls", private, operator)
    if query is None:
        calls = list_calls(directory, private)
        answer({"calls": calls}, as_json, lambda: _text(calls))
        return 0
    found, after = search_calls(directory, private, query)
    answer({"calls": found, "next": after}, as_json, lambda: _page_text(found, after))
    return 0


def _query(
    from_text: str | None,
    to_text: str | None,
    codes: tuple[str, ...],
    limit: int | None,
    after: str | None,
    **equal: Any,
) -> Query:
    """What is asked for. Raises UsageError."""
    return Query(
        from_ns=instant(from_text, "--from") or 0,
        to_ns=instant(to_text, "--to") or LATEST,
        codes=codes,
        limit=limit or PAGE,
        after=None if after is None else _place(after),
        **equal,
    )


def _place(text: str) -> Place:
    start, _colon, uid = text.partition(":")
    if not re.fullmatch(r"\d{1,19}", start, re.ASCII) or not re.fullmatch(r"[0-9a-f]{32}", uid):
        raise UsageError(reason="--after: " + _("it is what an answer gave as `next`"))
    return Place(int(start), uid)


def _page_text(calls: list[dict[str, Any]], after: str | None) -> str:
    more = _("more: --after {after}").format(after=after)
    return _text(calls) if after is None else f"{_text(calls)}\n{more}"


def _text(calls: list[dict[str, Any]]) -> str:
    rows = [
        [
            call["start"],
            call["line"],
            call["from"] or "-",
            call["to"] or "-",
            "-" if call["duration_s"] is None else f"{call['duration_s']:.1f} s",
            call["result"],
            call["record"],
            " ".join(call["codes"]),
            call["recording"] or "-",
        ]
        for call in calls
    ]
    headings = [_("start"), _("line"), _("from"), _("to"), _("length"), _("result")]
    return table([*headings, _("verdict"), _("why"), _("recording")], rows)
