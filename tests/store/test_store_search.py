"""A search finds what a walk through everything finds; damage that is met is met once."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greffier.durable import Disk
from greffier.errors import StorageFailed
from greffier.store.index import CallRow, Index
from greffier.store.search import LATEST, Place, Query

LINES = ("desk", "accueil", "d")
CODES = ("SAMPLED_IN", "SAMPLED_OUT", "OBJECTED")
RECORDS = ("none", "full", "seg")
RESULTS = ("ok", "failed")
WAYS = ("in", "out", "")


def row(number: int, picks: tuple[int, int, int, int, int, int]) -> CallRow:
    start, line, record, result, way, codes = picks
    clear = {
        "codes": [code for at, code in enumerate(CODES) if codes >> at & 1],
        "record": RECORDS[record],
        "result": RESULTS[result],
        **({"direction": WAYS[way]} if WAYS[way] else {}),
    }
    return CallRow(
        f"{number:032x}", LINES[line], start, None, f"{number % 3:032x}", clear, "e", number
    )


PICKS = st.tuples(
    st.integers(0, 9), st.integers(0, 2), st.integers(0, 2), st.integers(0, 1),
    st.integers(0, 2), st.integers(0, 7),
)  # fmt: skip


def maybe(values: tuple[str, ...]) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(values)


QUERIES = st.builds(
    Query,
    from_ns=st.integers(0, 9),
    to_ns=st.integers(0, 10) | st.just(LATEST),
    line=maybe((*LINES, "nowhere")),
    verdict=maybe(RECORDS),
    result=maybe(RESULTS),
    direction=maybe(WAYS[:2]),
    codes=st.lists(st.sampled_from(CODES), max_size=2).map(tuple),
    limit=st.integers(1, 4),
)


def fits(query: Query, call: CallRow) -> bool:
    clear = call.clear
    return (
        query.from_ns <= call.start_ns < query.to_ns
        and query.line in (None, call.line)
        and query.verdict in (None, clear["record"])
        and query.result in (None, clear["result"])
        and query.direction in (None, clear.get("direction"))
        and set(query.codes) <= set(clear["codes"])
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), PICKS), max_size=40),
    st.lists(QUERIES, min_size=4, max_size=8),
)
def test_a_search_finds_what_a_walk_finds_page_by_page(
    puts: list[tuple[int, tuple[int, int, int, int, int, int]]], queries: list[Query]
) -> None:
    memory = sqlite3.connect(":memory:", isolation_level=None)
    memory.row_factory = sqlite3.Row
    index = Index(Path("index"), memory, Disk(), True)
    index._make()
    calls: dict[str, CallRow] = {}
    for number, picks in puts:  # a call may be put again, and be another then
        one = row(number, picks)
        index.put([one])
        calls[one.uid] = one
    latest = sorted(calls.values(), key=lambda one: (one.start_ns, one.uid), reverse=True)
    for query in queries:
        wanted = [one for one in latest if fits(query, one)]
        found: list[CallRow] = []
        while page := index.search(query):
            assert len(page) <= query.limit
            found += page
            query = replace(query, after=Place(page[-1].start_ns, page[-1].uid))
        assert found == wanted
    index.close()


def test_damage_that_is_met_ends_the_file_and_the_next_opening_begins_it_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "index.sqlite"
    index = Index.open(path, Disk())
    index.replace((row(number, (number % 10, 0, 0, 0, 0, 1)) for number in range(2000)), ())
    index.close()
    data = bytearray(path.read_bytes())
    for at in range(8 * 4096, len(data), 4096):
        data[at : at + 4096] = bytes(4096)
    path.write_bytes(data)
    index = Index.open(path, Disk(), whole=False)
    assert not index.fresh
    with pytest.raises(StorageFailed):
        index.calls()
    index.close()
    again = Index.open(path, Disk(), whole=False)
    assert again.fresh and again.calls() == []
    again.close()
    assert Index.open(path, Disk()).calls() == []
