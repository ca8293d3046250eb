"""A recorder that runs: ``greffier run`` of a configuration, asked over its control socket."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from greffier.control import client
from greffier.control.messages import AskStatus, Status, Stop
from greffier.errors import GreffierError
from greffier_sim.service import Service, Unwell

PATIENCE_S = 120.0


class Appliance(Service):
    """One recorder, of ``recorder.toml`` in *folder*, which names its control *socket*."""

    def __init__(
        self,
        folder: Path,
        socket: Path,
        enter: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.socket = socket
        self.config = folder / "recorder.toml"
        words = ("greffier", "run", "--config", str(self.config))
        super().__init__(words, folder / "recorder.log", environment, enter)

    def status(self) -> Status | None:
        """What it published last; None while it does not answer."""
        try:
            answer = client.ask(self.socket, AskStatus())
        except (GreffierError, OSError):
            return None
        return answer if isinstance(answer, Status) else None

    def ready(self) -> bool:
        """Whether it is armed."""
        status = self.status()
        return status is not None and status.armed

    def wait_for(self, wanted: Callable[[Status], bool], seconds: float = PATIENCE_S) -> Status:
        """The first status for which *wanted* holds. Raises Unwell."""

        def look() -> Status | None:
            status = self.status()
            return status if status is not None and wanted(status) else None

        return self.wait_until(look, "the status that is waited for", seconds)

    def wait_idle(self, seconds: float = PATIENCE_S) -> Status:
        """Wait until no call runs and every part is finished. Raises Unwell."""
        return self.wait_for(
            lambda status: not status.committed and not any(one.calls for one in status.lines),
            seconds,
        )

    def stop(self) -> int:
        """Ask it to end in good order, where it runs; 0. Raises Unwell, GreffierError."""
        if self._process is None:
            return 0
        client.ask(self.socket, Stop())
        code = self._process.wait(timeout=PATIENCE_S)
        if code != 0:
            raise Unwell(f"the recorder failed at its end: {self.last_words()}")
        return code
