"""The transfer to head office that runs: ``greffier sync run``, asked over its own socket."""

from collections.abc import Callable
from pathlib import Path

from greffier.control import client
from greffier.control.transfer import AskSync, SyncNow, SyncState
from greffier.errors import GreffierError
from greffier_sim.service import Service

PATIENCE_S = 180.0


class Transfer(Service):
    """One sync process, of a configuration that names its *socket*."""

    def __init__(self, config: Path, socket: Path, log: Path) -> None:
        super().__init__(("greffier", "sync", "run", "--config", str(config)), log)
        self._socket = socket

    def state(self) -> SyncState | None:
        """How it goes; None while it does not answer."""
        try:
            answer = client.ask(self._socket, AskSync())
        except (GreffierError, OSError):
            return None
        return answer if isinstance(answer, SyncState) else None

    def ready(self) -> bool:
        """Whether it answers."""
        return self.state() is not None

    def wait_for(
        self, wanted: Callable[[SyncState], bool], what: str, seconds: float = PATIENCE_S
    ) -> SyncState:
        """The first state for which *wanted* holds. Raises Unwell, also where sync has ended."""

        def look() -> SyncState | None:
            state = self.state()
            return state if state is not None and wanted(state) else None

        return self.wait_until(look, what, seconds)

    def hurry(self) -> None:
        """`greffier sync now`: forget all waits. Raises GreffierError."""
        client.ask(self._socket, SyncNow())
