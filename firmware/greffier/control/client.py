"""Ask the recorder one thing, and wait a bounded time for the answer."""

import fcntl
import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from greffier.clock import SECOND, SystemClock
from greffier.control.forms import BadMessage
from greffier.control.messages import Answer, Failure, Replay, Request
from greffier.control.wire import LENGTH, MOST_ANSWER, frame_length, read_answer, write_request
from greffier.errors import IntegrityError, NoAnswer, NotAllowed, NotRunning, Refused
from greffier.language import translate

PATIENCE_S = 8.0
_CHUNK = 65536
_TIMEVAL = struct.Struct("ll")
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def ask(path: Path, request: Request, patience_s: float = PATIENCE_S) -> Answer:
    """The answer to *request* of the recorder that listens at *path*; never a Failure.

    Raises NotRunning, NoAnswer, NotAllowed, Refused, IntegrityError (the answer is no message).
    """
    answer, descriptors = _asked(path, request, patience_s)
    for fd in descriptors:  # none was asked for
        os.close(fd)
    return answer


@contextmanager
def replay(path: Path, request: Replay, patience_s: float = PATIENCE_S) -> Iterator[int]:
    """What was said last on a line, as a descriptor of sealed memory: it ends and never changes.

    Raises as :func:`ask`; IntegrityError also where no such descriptor came.
    """
    _, descriptors = _asked(path, request, patience_s)
    try:
        if len(descriptors) != 1 or not _is_sealed(descriptors[0]):
            what = translate("the recorder's answer")
            raise IntegrityError(what=what, reason="no sealed memory")
        yield descriptors[0]
    finally:
        for fd in descriptors:
            os.close(fd)


def fetch(path: Path, request: Request, patience_s: float = PATIENCE_S) -> tuple[Answer, int]:
    """The answer to *request*, and the file that came with it, as a descriptor open for reading.

    The caller closes it. Raises as :func:`ask`; IntegrityError also where no such file came.
    """
    answer, descriptors = _asked(path, request, patience_s)
    if len(descriptors) != 1 or not _is_readable_file(descriptors[0]):
        for fd in descriptors:
            os.close(fd)
        raise IntegrityError(what=translate("the recorder's answer"), reason="no file to read")
    return answer, descriptors[0]


def _is_readable_file(fd: int) -> bool:
    reads_only = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    return reads_only and stat.S_ISREG(os.fstat(fd).st_mode)


def _is_sealed(fd: int) -> bool:
    try:
        return fcntl.fcntl(fd, fcntl.F_GET_SEALS) & _SEALS == _SEALS
    except OSError:
        return False


def _asked(path: Path, request: Request, patience_s: float) -> tuple[Answer, list[int]]:
    """The answer, and the descriptors that came with it; there are none where this raises."""
    descriptors: list[int] = []
    try:
        return _answer_of(path, request, patience_s, descriptors), descriptors
    except BaseException:
        for fd in descriptors:
            os.close(fd)
        raise


def _answer_of(path: Path, request: Request, patience_s: float, descriptors: list[int]) -> Answer:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            frame = write_request(request)
            payload = _exchange(connection, path, frame, patience_s, descriptors)
    except TimeoutError:
        raise NoAnswer(path=path, seconds=f"{patience_s:g}") from None
    except PermissionError:
        raise NotAllowed(what=translate("open its socket")) from None
    except OSError:
        raise NotRunning(path=path) from None
    try:
        answer = read_answer(payload)
    except BadMessage as error:
        what = translate("the recorder's answer")
        raise IntegrityError(what=what, reason=error.reason) from None
    if isinstance(answer, Failure):
        raise _error(answer, request)
    return answer


def _exchange(
    connection: socket.socket,
    path: Path,
    frame: bytes,
    patience_s: float,
    descriptors: list[int],
) -> bytes:
    """Send *frame*; the payload of the frame that comes back. Raises OSError.

    What comes with it is put into *descriptors*.
    """
    clock = SystemClock()
    deadline_ns = clock.monotonic_ns() + int(patience_s * SECOND)

    def hurry() -> None:
        left = (deadline_ns - clock.monotonic_ns()) / SECOND
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)

    # A full backlog refuses a socket that may not block, and lets wait one that may.
    seconds, rest = divmod(int(patience_s * 1_000_000), 1_000_000)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(seconds, rest))
    try:
        connection.connect(str(path))
    except BlockingIOError:
        raise TimeoutError from None
    hurry()
    connection.sendall(frame)
    received = bytearray()
    end: int | None = None
    while end is None or len(received) < end:
        hurry()
        data, came, _, _ = socket.recv_fds(connection, _CHUNK, 1, socket.MSG_CMSG_CLOEXEC)
        descriptors += came
        if not data:
            raise ConnectionResetError
        received += data
        try:
            end = frame_length(received, MOST_ANSWER)
        except BadMessage:
            return b""  # no message, as the reader will say
    return bytes(received[LENGTH.size : end])


def _error(failure: Failure, request: Request) -> Exception:
    if failure.code == "not_allowed":
        return NotAllowed(what=type(request).__name__)
    known = {
        "too_many_orders": translate("too many orders wait already"),
        "late": translate("it is busy; the order may still be carried out"),
        "starting": translate("it is still starting"),
        "no_such_alarm": translate("no alarm with this number stands"),
        "no_such_line": translate("no such line"),
        "no_such_call": translate("no such call runs"),
        "not_supported": translate("this recorder cannot do that"),
        "replay_not_available": translate("there is no replay on this recorder"),
        "no_emergency_line": translate("only emergency lines can be replayed"),
        "nothing_kept": translate("nothing was said on this line in that time"),
        "replay_too_large": translate("that is too much sound for one answer; ask for less time"),
        "no_memory": translate("it has not enough memory for that now"),
        "no_disk": translate("it waits for its disk"),
        "pause_not_available": translate("there is no pause on this recorder"),
        "not_pausable": translate("the policy lets nobody pause this line from here"),
        "pause_disabled_emergency": translate("an emergency line is never paused"),
        "nothing_running": translate("no call runs on this line"),
        "stopping": translate("it is stopping"),
        "no_such_part": translate("no such part is sealed here"),
        "destroyed": translate("the key of this part is destroyed"),
        "altered": translate("the file of this part is not as it was sealed"),
        "no_such_order": translate("no such order is known any more"),
        "no_such_entry": translate("the log has no such entry yet"),
        "policy_garbled": translate("its signature file is no signed note"),
        "policy_another": translate("the signatures are of another policy"),
        "policy_forged": translate("a signature does not hold"),
        "policy_unsigned": translate("nobody whom it knows signed the policy"),
        "policy_one_person": translate("two different people must sign it"),
        "policy_missing": translate("it has no public keys of people who may sign"),
        "policy_malformed": translate("it is no policy"),
        "policy_too_large": translate("it is too long"),
        "policy_nameless": translate(
            "the log cannot hold its id: at most six digits, and no other characters"
        ),
        "policy_errors": translate("it does not compile: see `greffier policy check`"),
        "policy_older": translate("a newer version was adopted before"),
        "policy_same_version": translate("this version was adopted with other content"),
        "policy_needs_restart": translate(
            "it makes a sound card's line a never-record line, or no more: restart with it"
        ),
    }
    text = known.get(failure.reason, failure.reason)
    return Refused(reason=text, code=failure.code, word=failure.reason)
