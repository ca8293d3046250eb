"""Contacts of the board: a relay that is switched, a key that is read, as file or as GPIO line.

The GPIO character device is spoken to by its own calls (linux/gpio.h, version 2, from Linux 5.10):
no library of it is needed, and what is asked for is given back when the descriptor closes.
"""

import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from greffier.durable import Disk
from greffier.errors import StorageFailed

# _IOWR(0xB4, nr, size): struct gpio_v2_line_request, struct gpio_v2_line_values
_GET_LINE: Final = 0xC250B407
_GET_VALUES: Final = 0xC010B40E
_SET_VALUES: Final = 0xC010B40F
_INPUT: Final = 1 << 2
_OUTPUT: Final = 1 << 3
# offsets[64], consumer[32], config {flags, num_attrs, padding, attrs[10]}, num_lines,
# event_buffer_size, padding[5], fd
_REQUEST: Final = struct.Struct("=64I32sQI20x240xII20xi")
_VALUES: Final = struct.Struct("=QQ")
Ioctl = Callable[[int, int, bytearray], int]


class ContactFailed(Exception):
    """A contact cannot be switched or read. The text is for our own tests."""


class Switch(Protocol):
    """Something that can be switched. One thread at a time."""

    def set(self, on: bool) -> None:
        """Raises ContactFailed."""


class Input(Protocol):
    """Something that can be read. One thread at a time."""

    def read(self) -> bool:
        """Whether it is active. Raises ContactFailed."""


class FileSwitch:
    """A file that a driver keeps, into which *on* and *off* are written."""

    def __init__(self, path: Path, on: str, off: str, disk: Disk | None = None) -> None:
        self._path = path
        self._words = {True: on.encode(), False: off.encode()}
        self._disk = disk or Disk()

    def set(self, on: bool) -> None:
        """Raises ContactFailed."""
        try:
            self._disk.write_device(self._path, self._words[on])
        except StorageFailed as error:
            raise ContactFailed(str(error)) from error


class FileInput:
    """A file that a driver keeps; it begins with *active* while the key is pressed."""

    def __init__(self, path: Path, active: str) -> None:
        self._path = path
        self._active = active.encode()

    def read(self) -> bool:
        """Raises ContactFailed."""
        try:
            with self._path.open("rb") as file:
                return file.read(16).startswith(self._active)
        except OSError as error:
            raise ContactFailed(str(error)) from error


class GpioSwitch:
    """The line *offset* of the character device *chip*; *high* is its level while it is on.

    It is asked for at each switching and held while it is on: a process that dies lets it go.
    """

    def __init__(self, chip: Path, offset: int, high: bool, ioctl: Ioctl = fcntl.ioctl) -> None:
        self._line = _Line(chip, offset, _OUTPUT, ioctl)
        self._high = high

    def set(self, on: bool) -> None:
        """Raises ContactFailed."""
        self._line.ask()
        self._line.put(on == self._high)
        if not on:
            self._line.close()


class GpioInput:
    """The line *offset* of the character device *chip*; *high* is its level while pressed."""

    def __init__(self, chip: Path, offset: int, high: bool, ioctl: Ioctl = fcntl.ioctl) -> None:
        self._line = _Line(chip, offset, _INPUT, ioctl)
        self._high = high

    def read(self) -> bool:
        """Raises ContactFailed."""
        self._line.ask()
        return self._line.get() == self._high


class _Line:
    """One line of a chip; it is asked for when it is first needed."""

    def __init__(self, chip: Path, offset: int, flags: int, ioctl: Ioctl) -> None:
        self._chip = chip
        self._offset = offset
        self._flags = flags
        self._ioctl = ioctl
        self._fd: int | None = None

    def ask(self) -> None:
        if self._fd is not None:
            return
        request = bytearray(
            _REQUEST.pack(self._offset, *[0] * 63, b"greffier", self._flags, 0, 1, 0, -1)
        )
        with _failing():
            chip = os.open(self._chip, os.O_RDONLY | os.O_CLOEXEC)
            try:
                self._ioctl(chip, _GET_LINE, request)
            finally:
                os.close(chip)
        self._fd = int(_REQUEST.unpack(request)[-1])

    def put(self, high: bool) -> None:
        self._values(_SET_VALUES, int(high))

    def get(self) -> bool:
        return bool(self._values(_GET_VALUES, 0) & 1)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _values(self, call: int, bits: int) -> int:
        assert self._fd is not None  # noqa: S101 - it was asked for
        values = bytearray(_VALUES.pack(bits, 1))
        try:
            with _failing():
                self._ioctl(self._fd, call, values)
        except ContactFailed:
            self.close()  # a chip that went is asked for anew
            raise
        return int(_VALUES.unpack(values)[0])


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ContactFailed(str(error)) from error
