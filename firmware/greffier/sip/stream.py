"""SIP messages out of a TCP byte stream (RFC 3261 section 18.3).

The law of this module: never a lost neighbour. Content-Length is believed, so that text inside a
body cannot pass for a message; only when what follows a message cannot be one is that body
searched for the start line that it swallowed. What comes out does not depend on how the bytes
were cut into segments.
"""

import re
from typing import Final

from greffier.sip.head import MAX_HEAD, METHODS, end_of_head

MAX_BODY: Final = 196608
MAX_LINE: Final = 8192
# How often in a row a body may be searched; bounds the work that a hostile stream can cause.
MAX_RESCUES: Final = 8
MAX_BETWEEN: Final = 1024
_KNOWN = "|".join(METHODS).encode()
_STATUS = re.compile(rb"SIP/2\.0 [1-6][0-9][0-9][ \r\n]")
_REQUEST = re.compile(rb"(?:%s)[ \t]++[^\s:]" % _KNOWN)
_UNKNOWN = re.compile(rb"[A-Z]{2,32}[ \t]++[^\s:]")
_REQUEST_END = re.compile(rb"[ \t]SIP/2\.0[ \t]*+\r?\n")
_LINE_LIKE_START = re.compile(rb"\n(?=(?:%s)[ \t]|SIP/2\.0 [1-6][0-9][0-9][ \r\n])" % _KNOWN)
_LINE_ENDS = re.compile(rb"[\r\n]++")
_LENGTH = re.compile(
    rb"\n(?:content-length|l)[ \t]*+:[ \t]*+(?:\r?\n[ \t]++)?([0-9]{1,9})[ \t]*+(?=[\r\n]|\Z)",
    re.I,
)


class Framer:
    """One direction of one TCP connection; feed it the bytes in order.

    ``skipped`` counts bytes that belong to no message, without line ends (keep-alives are some);
    ``pending`` is how many wait for more, at most MAX_HEAD + MAX_BODY. Not for use by two threads
    at once.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._data = bytearray()
        self._seen = 0  # how far the head was searched without finding its end
        self._head = 0  # size of the head at the front, blank line included; 0 while unknown
        self._whole = 0  # size of the message at the front; 0 while unknown
        self._body = b""  # of the message that came out last: it may have swallowed its neighbour
        self._between = b""  # line ends after that message
        self._rescues = 0
        self._rescued = False  # whether the bytes at the front were just taken out of a body

    @property
    def pending(self) -> int:
        """Bytes that wait for the rest of their message."""
        return len(self._data)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that *data* completes, each as on the wire, without keep-alives."""
        self._data += data
        return self._drain(final=False)

    def close(self) -> list[bytes]:
        """What still waited when the stream ended, or when bytes of it were lost; starts afresh.

        A message without its end comes out as far as it came, and so do those it had swallowed.
        """
        messages = self._drain(final=True)
        self.skipped += _without_line_ends(self._data)
        self._start_afresh()
        return messages

    def _drain(self, *, final: bool) -> list[bytes]:
        messages: list[bytes] = []
        while True:
            if not self._head:
                self._drop_line_ends()
                line_end = self._data.find(b"\n", 0, MAX_LINE)
                if line_end < 0 and len(self._data) < MAX_LINE:
                    return messages
                if line_end < 0 or find_start(bytes(self._data[: line_end + 1])) != 0:
                    self._resume()
                    continue
                if not self._measure(final=final):
                    return messages
                if not self._head:
                    continue
            size = self._whole
            if len(self._data) < size:
                if not final:
                    return messages
                swallowed = find_start(bytes(self._data[self._head :]))
                size = self._head + swallowed if swallowed >= 0 else len(self._data)
            messages.append(self._take(size))

    def _drop_line_ends(self) -> None:
        match = _LINE_ENDS.match(self._data)
        if match is None:
            return
        if self._body:
            self._between += match[0]
            if len(self._between) > MAX_BETWEEN:
                self._body = self._between = b""
        self._seen = max(0, self._seen - match.end())
        del self._data[: match.end()]

    def _measure(self, *, final: bool) -> bool:
        """Find the sizes of the message at the front; False where its head has no end yet.

        A head that is too long loses its first line, and its size stays unknown.
        """
        start = max(0, self._seen - 3)
        head_end, body_start = end_of_head(self._data, start)
        if body_start < 0:
            self._seen = min(len(self._data), start + MAX_HEAD)
            if len(self._data) <= MAX_HEAD and not final:
                return False
            head_end = body_start = len(self._data)
        head = bytes(self._data[: min(head_end, MAX_HEAD)])
        cut = _start_inside(head)
        if cut:
            self._head = self._whole = cut
            return True
        if body_start > MAX_HEAD:
            self._skip(self._data.find(b"\n") + 1)
            return True
        match = _LENGTH.search(head)
        length = int(match[1]) if match else 0
        self._head = body_start
        self._whole = body_start + (length if length <= MAX_BODY else 0)
        return True

    def _take(self, size: int) -> bytes:
        if not self._rescued:
            self._rescues = 0
        self._rescued = False
        message = bytes(self._data[:size])
        self._body = message[self._head :]
        self._between = b""
        del self._data[:size]
        self._seen = max(0, self._seen - size)
        self._head = self._whole = 0
        return message

    def _resume(self) -> None:
        """Go to the next start line: inside the last body, or else further on."""
        if self._body and self._rescues < MAX_RESCUES:
            line_end = self._data.find(b"\n", 0, MAX_LINE)
            tail = self._between + bytes(self._data[: line_end + 1])
            place = find_start(self._body + tail)
            if 0 <= place < len(self._body):
                self._data[:0] = self._body[place:] + self._between
                self._body = self._between = b""
                self._seen = 0
                self._rescues += 1
                self._rescued = True
                return
        self._body = self._between = b""
        self._rescues = 0
        complete = self._data.rfind(b"\n", 0, MAX_HEAD) + 1
        place = find_start(bytes(self._data[:complete]))
        if place < 0:
            place = complete or min(len(self._data), MAX_HEAD)
        self._skip(place or self._data.find(b"\n") + 1)  # 0: a start line beyond MAX_LINE

    def _skip(self, size: int) -> None:
        self.skipped += _without_line_ends(self._data[:size])
        self._seen = max(0, self._seen - size)
        del self._data[:size]


def _without_line_ends(data: bytearray) -> int:
    return len(data) - data.count(b"\r") - data.count(b"\n")


def find_start(data: bytes) -> int:
    """Where the first line that can begin a message starts in *data*, or -1.

    A known method or a status may stand after garbage on its line, an unknown method may not.
    Only lines that are complete count.
    """
    status = _STATUS.search(data, 0, data.rfind(b"\n") + 1)
    best = status.start() if status else -1
    for hit in _REQUEST_END.finditer(data):
        line = data.rfind(b"\n", 0, hit.start()) + 1
        if 0 <= best < line:
            break
        request = _REQUEST.search(data, line, hit.start()) or _UNKNOWN.match(
            data, line, hit.start()
        )
        if request:
            return request.start() if best < 0 else min(best, request.start())
    return best


def _start_inside(head: bytes) -> int:
    """Where a start line stands among the headers: the message before it lost its end; else 0.

    Only at the beginning of a line, where no header could look like it.
    """
    for match in _LINE_LIKE_START.finditer(head):
        place = match.end()
        line_end = head.find(b"\n", place)
        line = head[place : line_end if line_end >= 0 else len(head)].rstrip()
        if line.startswith(b"SIP/") or line.endswith(b" SIP/2.0"):
            return place
    return 0
