"""Law packs: what each country allows, as data that counsel can change without code.

The built-in packs are ``data/packs.toml``. A country without a pack gets the strict pack ``XX``.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from greffier.config.fields import Problems, Table
from greffier.errors import BadPacks
from greffier.language import translate
from greffier.policy.purposes import EMERGENCY_KINDS, VOLUNTARY

# The consent lattice: a greater number is stricter.
NONE, NOTICE, OPT_OUT, OPT_IN = range(4)
CONSENT_LEVELS = ("none", "notice", "opt_out", "opt_in")
FALLBACK = "XX"
ALL_PARTIES = "US-AP"
SAME_COUNTRY = MappingProxyType({"GB": "UK"})
LONGEST_DAYS = 36525
STAFF_DUTIES = MappingProxyType(
    {
        "notice": ("notice",),
        "works_council": ("notice", "works_council"),
        "works_council_or_individual_consent": ("notice", "works_council_or_consent"),
        "union_agreement_or_labour_inspectorate": ("notice", "union_or_inspectorate"),
        "notice_and_cndp": ("notice", "cndp"),
        "notice_and_inpdp": ("notice", "inpdp"),
    }
)


@dataclass(frozen=True, slots=True)
class Pack:
    """What one country allows.

    ``floor``: consent that a site can never go below; ``default``: what holds while the site names
    no legal basis. ``rate_soft``: largest sampling rate; ``rate_hard``: with a justification.
    ``max_days``: ceiling of each voluntary purpose it allows, and of ``derived`` documents.
    ``emergency``: (minimum, maximum) days of each kind of emergency service.
    """

    name: str
    floor: int
    default: int
    rate_soft: float
    rate_hard: float
    max_days: Mapping[str, int]
    staff_duties: tuple[str, ...]
    emergency: Mapping[str, tuple[int, int]] = field(default_factory=lambda: MappingProxyType({}))
    archives_visa: bool = False
    offer_alternative: bool = False


@dataclass(frozen=True, slots=True)
class Packs:
    """All packs by country code. ``joined`` remembers what combination has made of them."""

    by_country: Mapping[str, Pack]
    joined: dict[tuple[object, ...], object] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def of(self, country: str) -> Pack:
        """The pack of *country*, or the pack ``XX`` where there is none.

        ISO 3166 says GB where the packs say UK; of the United States a state without a pack of its
        own counts as one where all parties must agree.
        """
        country = SAME_COUNTRY.get(country, country)
        if country not in self.by_country and (country == "US" or country.startswith("US-")):
            country = ALL_PARTIES
        return self.by_country.get(country, self.by_country[FALLBACK])


def load(path: Path | None = None) -> Packs:
    """The packs in the TOML file *path*, or the built-in ones. Raises BadPacks."""
    if path is None:
        name = "packs.toml"
        text = (resources.files("greffier.policy") / "data" / name).read_text("utf-8")
    else:
        name = str(path)
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            raise BadPacks(path=name, reason=error.strerror or str(error)) from error
        except UnicodeDecodeError as error:
            raise BadPacks(path=name, reason=translate("it is not UTF-8 text")) from error
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also an integer of thousands of digits
        raise BadPacks(path=name, reason=str(error)) from error
    return parse(tables, name)


def parse(tables: Mapping[str, object], path: str = "-") -> Packs:
    """The packs of parsed TOML *tables*; *path* names them in the error. Raises BadPacks."""
    problems = Problems()
    top = Table(tables, "", problems)
    found = {name: _pack(name, table) for name, table in top.tables()}
    if FALLBACK not in found:
        problems.add(FALLBACK, "is missing")
    if problems.lines:
        raise BadPacks(path=path, reason="; ".join(problems.lines))
    return Packs(MappingProxyType(found))


def _pack(name: str, table: Table) -> Pack:
    soft = table.share("rate_soft")
    hard = table.share("rate_hard")
    if soft > hard:
        table.wrong("rate_soft", "must not be above rate_hard")
    days = {
        purpose: table.whole(purpose, 0, LONGEST_DAYS)
        for purpose in (*VOLUNTARY, "derived")
        if purpose in table.values
    }
    floor = table.whole("floor", NONE, OPT_IN)
    default = table.whole("default", NONE, OPT_IN)
    if default < floor:
        table.wrong("default", "must not be below floor")
    pack = Pack(
        name=name,
        floor=floor,
        default=default,
        rate_soft=soft,
        rate_hard=hard,
        max_days=MappingProxyType(days),
        staff_duties=STAFF_DUTIES[table.choice("employee", tuple(STAFF_DUTIES))],
        emergency=MappingProxyType(_emergency(table)),
        archives_visa=table.flag("archives_visa", default=False),
        offer_alternative=table.flag("offer_alternative", default=False),
    )
    table.done()
    return pack


def _emergency(table: Table) -> dict[str, tuple[int, int]]:
    """The pairs [minimum, maximum] of the ``emergency`` table."""
    pairs = {}
    for kind, value in table.table("emergency").values.items():
        match value:
            case [low, high] if type(low) is type(high) is int and 0 <= low <= high <= LONGEST_DAYS:
                if kind in EMERGENCY_KINDS:
                    pairs[kind] = (low, high)
                else:
                    table.wrong(f"emergency.{kind}", "is not a known key")
            case _:
                table.wrong(f"emergency.{kind}", "must be a pair [minimum, maximum] of days")
    return pairs
