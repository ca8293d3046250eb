"""A piece of work for the thread that owns the stores, handed over by one that may wait for it."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Errand(Generic[Value]):
    """Made and awaited by one thread, :meth:`run` by another; one of run and refuse is called."""

    def __init__(self, work: Callable[[], Value]) -> None:
        self._work = work
        self._over = threading.Event()
        # Written before _over is set, read after.
        self._value: list[Value] = []
        self._error: Exception | None = None

    def run(self) -> None:
        """Do it. Whatever goes wrong is for who waits, not for the thread that lends itself."""
        try:
            self._value.append(self._work())
        except Exception as error:  # noqa: BLE001 - raised again by who waits
            self._error = error
        finally:
            self._over.set()

    def refuse(self, error: Exception) -> None:
        """It is not done, and never will be."""
        self._error = error
        self._over.set()

    def wait(self) -> Value:
        """Wait until it is done; what the work returned, or raises what it raised."""
        self._over.wait()
        if self._error is not None:
            raise self._error
        return self._value[0]
