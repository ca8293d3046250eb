"""The command ``greffier-office``: head office's side."""

import sys

from greffier import __version__
from greffier.cli.main import guard, run

COMMANDS = {
    "init": "greffier_office.office_init",
    "broker": "greffier_office.move_broker",
    "claim": "greffier_office.claim",
    "enrol": "greffier_office.enrol",
    "revoke": "greffier_office.revoke",
    "serve": "greffier_office.serve",
    "calls": "greffier_office.held_calls",
    "fleet": "greffier_office.fleet",
    "purge": "greffier_office.purge",
    "certificate": "greffier_office.certificate",
    "backup": "greffier_office.backup",
    "restore": "greffier_office.restore",
    "verify": "greffier_office.verify",
    "verify-sampling": "greffier_office.verify_sampling",
    "reconcile": "greffier_office.reconcile",
    "keygen": "greffier_office.keygen",
    "open": "greffier_office.open_part",
    "accesses": "greffier_office.accesses",
    "shares": "greffier_office.shares",
    "signer": "greffier_office.signer",
    "sign": "greffier_office.sign",
    "policy": "greffier_office.policy",
}
GUARDED = frozenset({"keygen", "open", "calls", "shares", "verify-sampling", "reconcile"})


def main() -> None:
    """Entry point of the console script."""
    guard(sys.argv[1:], GUARDED)
    sys.exit(run("greffier-office", COMMANDS, sys.argv[1:], __version__))
