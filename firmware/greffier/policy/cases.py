"""Runs a file of policy cases: facts, recordings and policies, each with what must come out.

Five kinds: ``decide`` (a call), ``erase``, ``retention``, ``access`` (a recording) and ``check``
(a policy, some of its keys set anew; null removes one). ``got`` has the shape of ``expect``.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greffier.errors import BadCases, BadPolicy, GreffierError
from greffier.language import translate
from greffier.policy import rules
from greffier.policy.access import Request, access
from greffier.policy.check import check, labels
from greffier.policy.decision import decide
from greffier.policy.facts import Facts
from greffier.policy.lifecycle import Hold, erase, retention
from greffier.policy.packs import Packs
from greffier.policy.site import Policy

_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True)
class Result:
    """One case: its name, whether the answer is the expected one, and the answer."""

    id: str
    ok: bool
    got: object


@dataclass(frozen=True, slots=True)
class Report:
    """All cases of one file."""

    results: tuple[Result, ...]

    @property
    def total(self) -> int:
        """How many cases there are."""
        return len(self.results)

    @property
    def passed(self) -> int:
        """How many of them came out as expected."""
        return sum(result.ok for result in self.results)

    def as_json(self) -> dict[str, object]:
        """As the command prints it."""
        results = [{"id": r.id, "ok": r.ok, "got": r.got} for r in self.results]
        return {"total": self.total, "passed": self.passed, "results": results}


@dataclass(slots=True)
class _Shelf:
    """The policies that cases name: from ``folder`` where given and there, else those we ship."""

    folder: Path | None
    packs: Packs
    tables: dict[str, dict[str, object]] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)

    def table(self, name: str) -> dict[str, object]:
        if name not in self.tables:
            if Path(name).name != name:
                raise BadPolicy(path=name, reason=translate("a case names a file, not a path"))
            path = self.folder / name if self.folder else rules.builtin(name)
            self.tables[name], _ = rules.read_tables(path)
        return self.tables[name]

    def policy(self, name: str) -> Policy:
        if name not in self.policies:
            self.policies[name] = rules.parse(self.table(name), path=name)
        return self.policies[name]


def load(path: Path) -> list[dict[str, Any]]:
    """The cases in the JSON file *path*. Raises BadCases."""
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise BadCases(path=str(path), reason=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise BadCases(path=str(path), reason=str(error)) from error
    if not isinstance(found, list) or not all(
        isinstance(case, dict) and {"kind", "id", "expect"} <= case.keys() for case in found
    ):
        reason = translate("it must be a list of cases, each with kind, id and expect")
        raise BadCases(path=str(path), reason=reason)
    return found


def run(cases: Sequence[Mapping[str, Any]], policies: Path | None, packs: Packs) -> Report:
    """Run *cases*; the policies they name are in the folder *policies* (None: those we ship).

    A case that cannot be run (unknown kind, fact or policy) fails, with the reason as its answer.
    """
    shelf = _Shelf(policies, packs)
    return Report(tuple(_result(case, shelf) for case in cases))


def set_keys(tables: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, Any]:
    """A copy of *tables* with the dotted keys of *changes* set; a value of None removes the key."""
    result: dict[str, Any] = copy.deepcopy(dict(tables))
    for dotted, value in changes.items():
        *path, last = dotted.split(".")
        table = result
        for name in path:
            table = table.setdefault(name, {})
        if value is None:
            table.pop(last, None)
        else:
            table[last] = value
    return result


def _result(case: Mapping[str, Any], shelf: _Shelf) -> Result:
    kind = _KINDS.get(str(case["kind"]))
    try:
        if kind is None:
            raise ValueError(translate("unknown kind of case"))
        got: object = kind(case, shelf)
        ok = _same(got, case["expect"])
    except GreffierError as error:
        got, ok = {"error": str(error)}, False
    except _UNREADABLE as error:
        got, ok = {"error": f"{type(error).__name__}: {error}"}, False
    return Result(str(case["id"]), ok, got)


def _same(got: object, expected: object) -> bool:
    """Equal, but lists of codes as sets."""
    if isinstance(got, list) and isinstance(expected, list):
        return set(got) == set(expected)
    if isinstance(got, dict) and isinstance(expected, dict) and "codes" in expected:
        codes = set(got.get("codes", ())) == set(expected["codes"])
        return codes and {**got, "codes": None} == {**expected, "codes": None}
    return got == expected


def _decide(case: Mapping[str, Any], shelf: _Shelf) -> object:
    policy = shelf.policy(case["policy"])
    facts = Facts.parse(case.get("facts", {}), policy.timezone)
    return decide(policy, shelf.packs, case["line"], facts).summary()


def _check(case: Mapping[str, Any], shelf: _Shelf) -> object:
    arguments = case["args"]
    changed = set_keys(shelf.table(arguments["policy"]), arguments.get("set", {}))
    return labels(check(changed, shelf.packs))


def _erase(case: Mapping[str, Any], _: _Shelf) -> object:
    arguments = dict(case["args"])
    answer = erase(_days(arguments.pop("purposes")), **arguments)
    return {"status": answer.status, "purposes": dict(answer.purposes)}


def _retention(case: Mapping[str, Any], _: _Shelf) -> object:
    arguments = dict(case["args"])
    mode = arguments.pop("hold_mode", "floor")
    span = arguments.pop("hold", None)
    hold = Hold(span[0], span[1], mode) if span else None
    return retention(arguments.pop("day"), _days(arguments.pop("purposes")), hold, **arguments)


def _access(case: Mapping[str, Any], _: _Shelf) -> object:
    arguments = dict(case["args"])
    return access(Request(purposes=_days(arguments.pop("purposes")), **arguments))


def _days(purposes: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, int]]:
    return {name: (int(low), int(high)) for name, (low, high) in purposes.items()}


_KINDS: dict[str, Callable[[Mapping[str, Any], _Shelf], object]] = {
    "decide": _decide,
    "check": _check,
    "erase": _erase,
    "retention": _retention,
    "access": _access,
}
