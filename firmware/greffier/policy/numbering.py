"""The law pack that an international number points to (ITU-T E.164 country codes).

Only a number that shows its country says something: written with ``+`` or the prefix ``00``. A
national number says nothing, and the policy's market holds.
"""

import re
import tomllib
from functools import cache
from importlib import resources

_SEPARATORS = re.compile(r"[\s().\-/\u00a0]")
_INTERNATIONAL = re.compile(r"(?:\+|00)(\d{6,15})")


def pack_of(number: str) -> str | None:
    """The name of the pack for the outside party's *number*, or None for no international number.

    The longest known prefix decides; an unknown country gives the strict pack ``XX``.
    """
    found = _INTERNATIONAL.fullmatch(_SEPARATORS.sub("", number))
    if found is None:
        return None
    digits, prefixes = found[1], _prefixes()
    for length in range(min(len(digits), 7), 0, -1):
        pack = prefixes.get(digits[:length])
        if pack:
            return pack
    return "XX"


@cache
def _prefixes() -> dict[str, str]:
    """Prefix without ``+`` -> pack name."""
    text = (resources.files("greffier.policy") / "data" / "numbering.toml").read_text("utf-8")
    tables = tomllib.loads(text)
    return {
        prefix: pack
        for pack, groups in tables.items()
        for prefixes in groups.values()
        for prefix in prefixes
    }
