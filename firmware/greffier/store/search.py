"""Which calls somebody looks for: by period, line, verdict, code, result and direction.

The latest come first, a page at a time. What most calls have (no recording, all well, a direction)
is found by walking the calls by time; what few have is a *facet*: (line, facet) -> calls by time.
Both are covering indexes, and an answer ends a walk, so a page of what there is plenty of costs a
page, and a page of what is rare costs as much as there is of it.
"""

import heapq
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

LATEST: Final = (1 << 63) - 1
MOST: Final = 1000
"""Calls of one page."""
_USUAL: Final = frozenset({"record:none", "result:ok"})
_LINES: Final = """
WITH RECURSIVE lines (line) AS (
    SELECT min(line) FROM calls INDEXED BY calls_by_line
    UNION ALL
    SELECT (SELECT min(line) FROM calls INDEXED BY calls_by_line WHERE line > lines.line)
    FROM lines WHERE lines.line IS NOT NULL
) SELECT line FROM lines WHERE line IS NOT NULL
"""


class Place(NamedTuple):
    """Where a call stands among all: by its beginning, and by its uid."""

    start_ns: int
    uid: str


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: calls that began in [*from_ns*, *to_ns*) and have all the rest.

    *codes* are reason codes of their verdict; *after* is the last call of the page before; *limit*
    is at most :data:`MOST`. None, and no codes: any.
    """

    from_ns: int = 0
    to_ns: int = LATEST
    line: str | None = None
    verdict: str | None = None
    result: str | None = None
    direction: str | None = None
    codes: tuple[str, ...] = ()
    after: Place | None = None
    limit: int = 50

    @property
    def facets(self) -> list[str]:
        """Those of it that are facets, the rarer kinds first."""
        wanted = []
        if self.result is not None:
            wanted.append(f"result:{self.result}")
        if self.verdict is not None:
            wanted.append(f"record:{self.verdict}")
        wanted += [f"code:{code}" for code in self.codes]
        return [one for one in wanted if one not in _USUAL]


def facets_of(clear: Mapping[str, Any]) -> list[str]:
    """What the clear part of a call says that few calls have."""
    codes = clear.get("codes")
    found = [f"code:{code}" for code in codes] if isinstance(codes, list | tuple) else []
    for key in ("record", "result"):
        if isinstance(clear.get(key), str):
            found.append(f"{key}:{clear[key]}")
    return [one for one in dict.fromkeys(found) if one not in _USUAL]


def search(db: sqlite3.Connection, query: Query) -> list[str]:
    """The uids of the calls that *query* asks for, in its order. Raises sqlite3.Error."""
    limit = min(max(query.limit, 0), MOST)
    facets = query.facets
    if not facets:
        return [uid for _, uid in _walked(db, query, limit)]
    lines = [query.line] if query.line is not None else [one for (one,) in db.execute(_LINES)]
    pages = [_faceted(db, query, line, facets, limit) for line in lines]
    merged = heapq.merge(*pages, reverse=True)
    return [uid for _, uid in list(merged)[:limit]]


def _walked(db: sqlite3.Connection, query: Query, limit: int) -> Sequence[tuple[int, str]]:
    """By time, of one line or of all."""
    index = "calls_by_start" if query.line is None else "calls_by_line"
    where, values = _period(query)
    for column in ("line", "verdict", "result", "direction"):
        value = getattr(query, column)
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    text = f"SELECT start_ns, uid FROM calls INDEXED BY {index}"  # noqa: S608 - one of two words
    return _page(db, text, where, values, limit)


def _faceted(
    db: sqlite3.Connection, query: Query, line: str, facets: Sequence[str], limit: int
) -> Sequence[tuple[int, str]]:
    """Of one line, by the first of *facets*; the others are looked up."""
    where, values = _period(query)
    where += ["line = ?", "facet = ?"]
    values += [line, facets[0]]
    if query.direction is not None:
        where.append("direction = ?")
        values.append(query.direction)
    for other in facets[1:]:
        where.append(
            "EXISTS (SELECT 1 FROM facets AS other WHERE other.line = facets.line"
            " AND other.facet = ? AND other.start_ns = facets.start_ns"
            " AND other.uid = facets.uid)"
        )
        values.append(other)
    for column, usual in (("verdict", "none"), ("result", "ok")):
        if getattr(query, column) == usual:
            own = f"SELECT {column} FROM calls WHERE calls.uid = facets.uid"  # noqa: S608
            where.append(f"({own}) = ?")
            values.append(usual)
    return _page(db, "SELECT start_ns, uid FROM facets", where, values, limit)


def _period(query: Query) -> tuple[list[str], list[object]]:
    where = ["start_ns >= ?", "start_ns < ?"]
    values: list[object] = [query.from_ns, query.to_ns]
    if query.after is not None:
        where[1] = "start_ns <= ?"
        values[1] = min(query.to_ns - 1, query.after.start_ns)
        where.append("(start_ns < ? OR uid < ?)")
        values += [query.after.start_ns, query.after.uid]
    return where, values


def _page(
    db: sqlite3.Connection, text: str, where: Sequence[str], values: Sequence[object], limit: int
) -> Sequence[tuple[int, str]]:
    text = f"{text} WHERE {' AND '.join(where)} ORDER BY start_ns DESC, uid DESC LIMIT ?"
    return [(start_ns, uid) for start_ns, uid in db.execute(text, (*values, limit))]
