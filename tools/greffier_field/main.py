"""The technician's command: its parts (flash, provision, doctor) come with the appliance image."""

import sys

from greffier.errors import UsageError


def main() -> None:
    """Say what is not there yet, and exit 2."""
    print(UsageError(reason="greffier-field comes with the appliance image"), file=sys.stderr)
    sys.exit(UsageError.exit_code)
