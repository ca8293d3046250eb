"""Two known people sign a policy, or the live recorder does not adopt it."""

from pathlib import Path

import pytest

from greffier.cli.main import run
from greffier.errors import BadPolicy
from greffier.policy import packs, rules
from greffier.recorder import adoption
from greffier_office.main import COMMANDS


def office(*words: str) -> int:
    """Run a command of head office."""
    return run("greffier-office", COMMANDS, list(words), "test")


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A policy, three signers' keys, and a file of the two that the site knows."""
    (tmp_path / "p.toml").write_bytes(rules.builtin("fr-retail.toml").read_bytes())
    for name in ("alice", "bob", "mallory"):
        assert office("signer", name, "-o", str(tmp_path)) == 0
    known = [(tmp_path / f"{name}.pub").read_text() for name in ("alice", "bob")]
    (tmp_path / "signers").write_text("".join(known))
    return tmp_path


def adopt(desk: Path) -> str:
    """The id of the policy that is adopted."""
    paths = (desk / "p.toml", desk / "p.toml.sig", desk / "signers")
    return adoption.adopt(*paths, packs.load()).id


def sign(desk: Path, *names: str) -> None:
    """Each of *names* signs, one after the other."""
    for name in names:
        assert office("sign", str(desk / "p.toml"), "--key", str(desk / f"{name}.key")) == 0


def test_two_known_signers_are_enough_in_either_order(desk: Path) -> None:
    sign(desk, "bob", "alice")
    assert adopt(desk) == "fr-retail-lyon2"


@pytest.mark.parametrize("names", [("alice",), ("alice", "alice"), ("alice", "mallory")])
def test_fewer_than_two_known_people_are_not(desk: Path, names: tuple[str, ...]) -> None:
    sign(desk, *names)
    with pytest.raises(BadPolicy):
        adopt(desk)


def test_a_change_after_the_signatures_is_refused(desk: Path) -> None:
    sign(desk, "alice", "bob")
    policy = desk / "p.toml"
    policy.write_bytes(policy.read_bytes().replace(b"rate = 0.20", b"rate = 0.30"))
    with pytest.raises(BadPolicy):
        adopt(desk)


def test_a_new_version_does_not_inherit_signatures(desk: Path) -> None:
    sign(desk, "alice")
    policy = desk / "p.toml"
    policy.write_bytes(policy.read_bytes() + b"\n")
    sign(desk, "bob")
    with pytest.raises(BadPolicy):
        adopt(desk)


@pytest.mark.parametrize("missing", ["p.toml", "p.toml.sig", "signers"])
def test_a_missing_file_is_one_clear_error(desk: Path, missing: str) -> None:
    sign(desk, "alice", "bob")
    (desk / missing).unlink()
    with pytest.raises(BadPolicy):
        adopt(desk)


def test_a_policy_that_does_not_compile_is_refused_though_signed(desk: Path) -> None:
    policy = desk / "p.toml"
    policy.write_bytes(policy.read_bytes().replace(b'decide_at = "start"', b'decide_at = "end"'))
    sign(desk, "alice", "bob")
    with pytest.raises(BadPolicy, match="C_DECIDE_AT_END_FORBIDDEN"):
        adopt(desk)


def test_a_key_is_never_made_twice(desk: Path) -> None:
    before = (desk / "alice.key").read_bytes()
    assert office("signer", "alice", "-o", str(desk)) == 1
    assert (desk / "alice.key").read_bytes() == before
    assert (desk / "alice.key").stat().st_mode & 0o777 == 0o600
