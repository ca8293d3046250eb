"""A TPM that is reached over a device file, or over the socket of swtpm(8) in tests.

No library stands between: seven commands are enough (:mod:`greffier.trust.tpm_wire`), the kernel's
resource manager serves several users at once, and no process is begun while keys are in memory.
"""

import errno
import os
import re
import select
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from greffier.clock import SECOND, pause, steady_ns
from greffier.errors import TpmBusy, TpmFailed
from greffier.language import translate as _
from greffier.trust import tpm_wire
from greffier.trust.tpm_wire import BadAnswer, Command, Guessing, Index, TpmRefused

ENVIRONMENT = "GREFFIER_TPM"
DEVICE = "device:/dev/tpmrm0"
NONE = "none"
PATIENCE_S = 20.0  # a TPM may test itself, or tidy its memory, before it answers
_TRIES = 8
_PAUSE_S = 0.02  # doubled at each try: five seconds in all
_SWTPM = re.compile(r"swtpm:host=([0-9A-Za-z.:\-]{1,255}),port=([0-9]{1,5})")


class WrongPassword(Exception):
    """The index has another password; the TPM counted the attempt."""


class TooManyGuesses(Exception):
    """The TPM takes no password now: too many were wrong."""


class Link(Protocol):
    """Where one command goes and one answer comes from."""

    def transmit(self, command: bytes) -> bytes:
        """The answer to *command*. Raises OSError; TimeoutError where none came in time."""

    def close(self) -> None:
        """Let it go."""


Connect = Callable[[], Link]


class DeviceLink:
    """The kernel's device file; /dev/tpmrm0 is the one that may be shared."""

    def __init__(self, path: str, patience_s: float = PATIENCE_S) -> None:
        self._patience = patience_s
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)

    def transmit(self, command: bytes) -> bytes:
        os.write(self._fd, command)  # one command is one write, and one answer one read: tpm(4)
        ready = select.poll()
        ready.register(self._fd, select.POLLIN)
        if not ready.poll(self._patience * 1000):
            raise TimeoutError
        return os.read(self._fd, tpm_wire.LONGEST)

    def close(self) -> None:
        os.close(self._fd)


class SocketLink:
    """The data channel of swtpm: commands and answers as they are, one after the other."""

    def __init__(self, host: str, port: int, patience_s: float = PATIENCE_S) -> None:
        self._patience = patience_s
        self._socket = socket.create_connection((host, port), timeout=patience_s)

    def transmit(self, command: bytes) -> bytes:
        until = steady_ns() + round(self._patience * SECOND)
        self._socket.sendall(command)
        answer = self._take(tpm_wire.HEADER_SIZE, until)
        return answer + self._take(tpm_wire.length_of(answer) - len(answer), until)

    def _take(self, size: int, until: int) -> bytes:
        found = b""
        while len(found) < size:
            self._socket.settimeout(max((until - steady_ns()) / SECOND, 0.001))
            piece = self._socket.recv(size - len(found))
            if not piece:
                raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
            found += piece
        return found

    def close(self) -> None:
        self._socket.close()


def connector(words: str | None = None, patience_s: float = PATIENCE_S) -> Connect | None:
    """How the TPM is reached that *words* name; without them those of the environment count.

    ``device:PATH``, ``swtpm:host=HOST,port=PORT`` (both as tpm2-tools write them), or ``none``: no
    TPM is used. Raises TpmFailed for other words.
    """
    words = words or os.environ.get(ENVIRONMENT) or DEVICE
    if words == NONE:
        return None
    if words.startswith("device:/"):
        return lambda: DeviceLink(words.removeprefix("device:"), patience_s)
    if (match := _SWTPM.fullmatch(words)) and int(match[2]) < 65536:
        return lambda: SocketLink(match[1], int(match[2]), patience_s)
    raise TpmFailed(reason=_("GREFFIER_TPM names none: {words}").format(words=words))


class Chip:
    """One conversation with a TPM; a context manager. Every failure of it is a TpmFailed."""

    def __init__(self, connect: Connect) -> None:
        try:
            self._link = connect()
        except OSError as error:
            raise _failure(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._link.close()

    def greet(self) -> None:
        """Find out whether a TPM answers. Raises TpmFailed."""
        self._run(tpm_wire.ask_manufacturer())

    def look(self, handle: int) -> Index | None:
        """The index *handle*, or None where there is none. Raises TpmFailed."""
        try:
            return tpm_wire.index_of(self._ask(tpm_wire.look_at(handle)))
        except TpmRefused as refused:
            if refused.code == tpm_wire.HANDLE:
                return None
            raise TpmFailed(reason=refused) from refused
        except BadAnswer as error:
            raise _senseless(error) from error

    def define(self, index: Index, password: bytes = b"") -> bool:
        """Make *index*; False where one is there already. Raises TpmFailed."""
        try:
            self._ask(tpm_wire.define(index, password))
        except TpmRefused as refused:
            if refused.code == tpm_wire.NV_DEFINED:
                return False
            raise TpmFailed(reason=refused) from refused
        return True

    def undefine(self, handle: int) -> None:
        """Remove the index *handle* and what it holds. Raises TpmFailed."""
        self._run(tpm_wire.undefine(handle))

    def write(self, handle: int, data: bytes, password: bytes = b"") -> None:
        """Overwrite the whole index *handle*; durable when this returns. Raises TpmFailed."""
        self._run(tpm_wire.write(handle, data, password))

    def read(self, handle: int, size: int, password: bytes = b"") -> bytes | None:
        """What the index holds; None where it was never written.

        Raises TpmFailed; WrongPassword, TooManyGuesses where the index has another *password*.
        """
        try:
            data, rest = tpm_wire.sized(self._ask(tpm_wire.read(handle, size, password)))
        except TpmRefused as refused:
            if refused.code == tpm_wire.NV_UNINITIALIZED:
                return None
            if password and refused.code == tpm_wire.AUTH_FAIL:
                raise WrongPassword from None
            if password and refused.code == tpm_wire.LOCKOUT:
                raise TooManyGuesses from None
            raise TpmFailed(reason=refused) from refused
        except BadAnswer as error:
            raise _senseless(error) from error
        return data if not rest else b""

    def guessing(self) -> Guessing:
        """How it counts wrong passwords. Raises TpmFailed."""
        try:
            permanent = self._ask(tpm_wire.ask_permanent())
            return tpm_wire.guessing_of(permanent, self._ask(tpm_wire.ask_guessing()))
        except TpmRefused as refused:
            raise TpmFailed(reason=refused) from refused
        except BadAnswer as error:
            raise _senseless(error) from error

    def bound_guessing(self, most_wrong: int, interval_s: int, recovery_s: int) -> None:
        """Say how wrong passwords are counted. Raises TpmFailed (somebody has done so before)."""
        self._run(tpm_wire.set_guessing(most_wrong, interval_s, recovery_s))

    def seal_lockout(self, password: bytes) -> None:
        """Give the one that forgives wrong passwords a password. Raises TpmFailed."""
        self._run(tpm_wire.seal_lockout(password))

    def _run(self, command: Command) -> None:
        try:
            self._ask(command)
        except TpmRefused as refused:
            raise TpmFailed(reason=refused) from refused

    def _ask(self, command: Command) -> bytes:
        """Raises TpmRefused, TpmFailed; TpmBusy where it stays busy."""
        for number in range(_TRIES):
            try:
                return tpm_wire.parameters_of(self._link.transmit(command.data), command)
            except TpmRefused as refused:
                if refused.code not in tpm_wire.BUSY:
                    raise
            except BadAnswer as error:
                raise _senseless(error) from error
            except OSError as error:
                raise _failure(error) from error
            pause(_PAUSE_S * 2**number)  # the specification asks for the same command again
        raise TpmBusy(reason=_("it asks to be asked again later"))


def _senseless(error: BadAnswer) -> TpmFailed:
    return TpmFailed(reason=_("its answer makes no sense: {reason}").format(reason=error))


def _failure(error: OSError) -> TpmFailed:
    if isinstance(error, TimeoutError):
        return TpmBusy(reason=_("it does not answer"))
    if error.errno == errno.EBUSY:
        return TpmBusy(reason=_("another program holds it"))
    where = f"{error.filename}: " if error.filename else ""
    return TpmFailed(reason=f"{where}{error.strerror or type(error).__name__}")
