"""Which policy may follow which: by version, never back. Pure (docs/policy-signing.md, 3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

OLDER, SAME_VERSION = "older", "same_version"


@dataclass(slots=True)
class Succession:
    """What the log tells of adopted policies: give it each entry ``policy.adopted`` in order."""

    latest: dict[str, Any] | None = None
    """What was said of the last policy that was adopted, all keys that it ever had included."""
    versions: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Of each policy id the greatest version, and the hash of its file."""

    def read(self, data: Mapping[str, Any]) -> None:
        """Take in the next entry's data; one of an import, which needs no signature, is none."""
        if not data["signed"]:
            return
        name, version, sha256 = (
            data["policy"],
            data["policy_version"],
            data["policy_sha256"],
        )
        if self.latest is not None and self.latest["policy_sha256"] == sha256:
            self.latest.update(data)
        else:
            self.latest = dict(data)
        if version >= self.versions.get(name, (-1, ""))[0]:
            self.versions[name] = version, sha256

    def refusal(self, name: str, version: int, sha256: str) -> str | None:
        """Why the policy *name* may not be adopted now, or None."""
        greatest, known = self.versions.get(name, (-1, ""))
        if version < greatest:
            return OLDER
        return SAME_VERSION if version == greatest and sha256 != known else None

    def is_latest(self, sha256: str) -> bool:
        """Whether that is the policy that was adopted last."""
        return self.latest is not None and self.latest["policy_sha256"] == sha256

    def dump(self) -> dict[str, Any]:
        """All of it, for :meth:`load`."""
        return {"latest": self.latest, "versions": self.versions}

    @classmethod
    def load(cls, told: Mapping[str, Any]) -> Self:
        """What :meth:`dump` gave. Raises KeyError, TypeError, ValueError for anything else."""
        versions = {str(name): (int(one[0]), str(one[1])) for name, one in told["versions"].items()}
        latest = told["latest"]
        return cls(None if latest is None else dict(latest), versions)
