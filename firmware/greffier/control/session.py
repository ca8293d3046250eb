"""One client's conversation, without a socket: bytes in, at most one request at a time, bytes out.

Pure. Times are monotonic nanoseconds that the caller hands in.
"""

from greffier.clock import SECOND
from greffier.control.forms import BadMessage
from greffier.control.messages import Answer, Failure, Request
from greffier.control.wire import LENGTH, MOST_REQUEST, frame_length, read_request, write_answer

# How long a client may take to send a whole request, or to take a whole answer.
PATIENCE_NS = 10 * SECOND
# How long a request may wait for the recorder.
ORDER_NS = 5 * SECOND


class Session:
    """The state of one client: collecting a request, waiting for its answer, or sending it.

    A client that breaks the protocol gets one failure and the end of the conversation.
    """

    def __init__(self, now_ns: int) -> None:
        self._received = bytearray()
        self._output = memoryview(b"")
        self.waiting = False
        self._closing = False
        self._deadline_ns = now_ns + PATIENCE_NS

    @property
    def wants_input(self) -> bool:
        """Whether bytes may be received: not while an answer is due."""
        return not self.waiting and not self._output and not self._closing

    @property
    def output(self) -> memoryview:
        """What is still to be sent."""
        return self._output

    @property
    def over(self) -> bool:
        """Whether everything is said."""
        return self._closing and not self._output

    def late(self, now_ns: int) -> bool:
        """Whether the client, or the recorder, has taken too long."""
        return now_ns >= self._deadline_ns

    def receive(self, data: bytes, now_ns: int) -> Request | None:
        """Take *data* from the client; a whole request is returned, and must be answered.

        Empty data is the client's end.
        """
        if not data:
            self._closing = True
            return None
        self._received += data
        return self._next(now_ns)

    def answer(self, answer: Answer, now_ns: int) -> None:
        """Send *answer* to the request that waits."""
        self._send(answer, now_ns)

    def sent(self, count: int, now_ns: int) -> Request | None:
        """*count* bytes of the output have gone; a request that came meanwhile is returned."""
        self._output = self._output[count:]
        if self._output or self._closing:
            return None
        self._deadline_ns = now_ns + PATIENCE_NS
        return self._next(now_ns)

    def _send(self, answer: Answer, now_ns: int) -> None:
        self.waiting = False
        self._output = memoryview(write_answer(answer))
        self._deadline_ns = now_ns + PATIENCE_NS

    def _next(self, now_ns: int) -> Request | None:
        try:
            end = frame_length(self._received, MOST_REQUEST)
            if end is None or len(self._received) < end:
                # Nobody sends ahead by more than a frame: what is collected stays bounded.
                return None
            request = read_request(bytes(self._received[LENGTH.size : end]))
        except BadMessage:
            self._received.clear()
            self._send(Failure("bad_request", "not_understood"), now_ns)
            self._closing = True
            return None
        del self._received[:end]
        self.waiting = True
        self._deadline_ns = now_ns + ORDER_NS
        return request
