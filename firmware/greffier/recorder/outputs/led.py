"""A lamp, relay or GPIO line that a driver keeps as a file: on while an alarm stands."""

from collections.abc import Sequence
from pathlib import Path

from greffier.config.records import Output
from greffier.control.messages import Alarm, Notice
from greffier.durable import Disk
from greffier.errors import StorageFailed
from greffier.recorder.outputs.outbox import OutputFailed


class Led:
    """Acknowledging does not switch it off: the fault is still there."""

    def __init__(self, output: Output, disk: Disk) -> None:
        self._output = output
        self._disk = disk

    def send(self, notices: Sequence[Notice], standing: Sequence[Alarm]) -> None:
        """Raises OutputFailed."""
        word = self._output.on if standing else self._output.off
        try:
            self._disk.write_device(Path(self._output.address), word.encode())
        except StorageFailed as error:
            raise OutputFailed(str(error)) from error
