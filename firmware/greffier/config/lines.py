"""Which policy line a call is on, which way it goes, and who the agent is: pure answers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from greffier.config.numbers import Numbering, number_matches, text_matches
from greffier.config.records import Assignment, Config, Direction, Inside, Match, Network

# (caller is one of us, called is one of us); None: nothing tells.
_WAYS: Final[dict[tuple[bool | None, bool | None], Direction]] = {
    (True, True): "int",
    (True, False): "out",
    (True, None): "out",
    (None, False): "out",
    (False, True): "in",
    (None, True): "in",
    (False, None): "in",
}


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What the wire shows of a call when it begins.

    ``tap`` is the configured name; numbers and URIs "" where unknown; addresses are the hosts that
    the first message went between; ``vlans`` are the tags of its frame.
    """

    tap: str = ""
    caller: str = field(default="", repr=False)
    called: str = field(default="", repr=False)
    caller_uri: str = field(default="", repr=False)
    called_uri: str = field(default="", repr=False)
    source: str = ""
    destination: str = ""
    vlans: tuple[int, ...] = ()


def direction_of(config: Config, facts: CallFacts) -> Direction:
    """Which way the call goes, seen from the site.

    A party is inside or outside by its number where inside numbers are listed and it shows one,
    else by its address where inside networks are listed, else unknown. One known side decides;
    where neither is known, or both are outside, the configured answer holds.
    """
    inside, plan = config.inside, config.numbering
    caller = _is_inside(inside, plan, facts.caller, facts.source)
    called = _is_inside(inside, plan, facts.called, facts.destination)
    return _WAYS.get((caller, called), inside.otherwise)


def line_of(config: Config, facts: CallFacts) -> str | None:
    """The policy line of the first rule that holds; None where none does (an unconfigured line)."""
    direction = direction_of(config, facts)
    for rule in config.matches:
        if _holds(rule, config.numbering, facts, direction):
            return rule.line
    return None


def agent_of(assignments: Iterable[Assignment], extension: str, time_ns: int) -> str | None:
    """Who works at *extension* at *time_ns* (ns since the Unix epoch); None where nobody does."""
    for one in assignments:
        if one.extension == extension and one.from_ns <= time_ns < one.until_ns:
            return one.agent
    return None


def _is_inside(inside: Inside, plan: Numbering, number: str, host: str) -> bool | None:
    if inside.numbers and number:
        return any(number_matches(pattern, number, plan) for pattern in inside.numbers)
    if inside.networks and host:
        return _within(host, inside.networks)
    return None


def _holds(rule: Match, plan: Numbering, facts: CallFacts, direction: Direction) -> bool:
    if rule.tap and facts.tap not in rule.tap:
        return False
    if rule.direction and direction not in rule.direction:
        return False
    if rule.vlans and not set(facts.vlans) & set(rule.vlans):
        return False
    ours = {"in": (facts.called,), "out": (facts.caller,)}.get(
        direction, (facts.caller, facts.called)
    )
    return (
        _any_number(rule.did, ours, plan)
        and _any_number(rule.called, (facts.called,), plan)
        and _any_number(rule.caller, (facts.caller,), plan)
        and _any_uri(rule.uri, (facts.called_uri, facts.caller_uri))
        and (
            not rule.networks
            or any(_within(host, rule.networks) for host in (facts.source, facts.destination))
        )
    )


def _any_number(patterns: Sequence[str], numbers: Sequence[str], plan: Numbering) -> bool:
    return not patterns or any(
        number_matches(pattern, number, plan)
        for pattern in patterns
        for number in numbers
        if number
    )


def _any_uri(patterns: Sequence[str], uris: Sequence[str]) -> bool:
    return not patterns or any(
        text_matches(pattern, _plain(uri)) for pattern in patterns for uri in uris if uri
    )


def _plain(uri: str) -> str:
    """*uri* without parameters and headers: they say nothing about a line."""
    user, at, host = uri.rpartition("@")
    return user.partition(";")[0] + at + host.partition(";")[0].partition("?")[0]


def _within(host: str, networks: Iterable[Network]) -> bool:
    try:
        address: IPv4Address | IPv6Address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
