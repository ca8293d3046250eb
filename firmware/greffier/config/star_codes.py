"""The star codes of our telephones: a star and a digit, and what an agent means by them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from greffier.config.fields import Table

USUAL: Final[Mapping[str, str]] = MappingProxyType(
    {"private": "*1", "proof": "*2", "threat": "*3", "pause": "*4", "resume": "*5"}
)
"""What each code is where the configuration says nothing."""


def read_star_codes(top: Table) -> Mapping[str, str]:
    """``[star_codes]``: what is meant -> the digit behind the star; "" turns a code off."""
    table = top.table("star_codes")
    found: dict[str, str] = {}
    for name, usual in USUAL.items():
        code = table.text(name, default=usual)
        if not code:
            continue
        digit = code[1:]
        if not (code.startswith("*") and len(digit) == 1 and digit in "0123456789"):
            table.wrong(name, "must be a star and one digit")
        elif digit in found.values():
            table.wrong(name, "is used twice")
        else:
            found[name] = digit
    table.done()
    return MappingProxyType(found)
