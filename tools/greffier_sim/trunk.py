"""Telephones that place real calls: SIPp on both ends of a wire."""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from greffier_sim.branch import Branch

ANSWERING_PORT = 5060
ANSWERING_MEDIA = 7000
FIRST_PORT = 10_000
PORTS = 16
"""Of each caller: SIP, and behind it media (SIPp takes three more: RTCP, and video unused)."""
MEDIA_BEHIND = 8
_READY_S = 120.0
SCENARIO = """<?xml version="1.0" encoding="UTF-8" ?>
<scenario name="caller">
  <send retrans="500"><![CDATA[
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
{head}
To: <sip:[service]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: sip:caller@[local_ip]:[local_port]
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=caller 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 8
a=rtpmap:8 PCMA/8000
]]></send>
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
  <recv response="200" rtd="true"/>
  <send><![CDATA[
ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
{head}
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
  <nop><action><exec rtp_stream="{audio},1,8,PCMA/8000"/></action></nop>
  <pause milliseconds="{milliseconds}"/>
  <send retrans="500"><![CDATA[
BYE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
{head}
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
  <recv response="200"/>
</scenario>
"""
HEAD = """Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: "{name}" <sip:{number}@[local_ip]:[local_port]>;tag=[pid]-[call_number]"""


@dataclass(frozen=True, slots=True)
class Caller:
    """One call to place: who calls whom, and the raw A-law audio that is said."""

    number: str
    called: str
    audio: Path
    seconds: float


class Telephones:
    """One telephone that answers everything and echoes what is said, and those that call it."""

    def __init__(self, wire: Branch, folder: Path) -> None:
        """Start the one that answers. Raises OSError."""
        self._wire = wire
        self._folder = folder
        self._calls: list[subprocess.Popen[bytes]] = []
        place = ["-i", wire.answering_host, "-p", str(ANSWERING_PORT), "-mp", str(ANSWERING_MEDIA)]
        self._answering = _start(
            [*wire.answering, "sipp", "-sn", "uas", *place, "-rtp_echo"], folder
        )
        self._wait_for_port()

    def call(self, caller: Caller) -> int:
        """Place a call; the UDP port from which its caller speaks."""
        number = len(self._calls)
        port = FIRST_PORT + PORTS * number
        wire = self._wire
        head = HEAD.format(name=escape(caller.number), number=caller.number)
        scenario = self._folder / f"caller-{number}.xml"
        scenario.write_text(
            SCENARIO.format(head=head, audio=caller.audio, milliseconds=int(caller.seconds * 1000)),
            encoding="utf-8",
        )
        own = ["-i", wire.caller_host, "-p", str(port), "-mp", str(port + MEDIA_BEHIND)]
        once = [f"{wire.answering_host}:{ANSWERING_PORT}", "-m", "1"]
        limit = ["-timeout", "60", "-timeout_error"]
        words = ["sipp", "-sf", str(scenario), *own, "-s", caller.called, *once, *limit]
        self._calls.append(_start([*wire.caller, *words], self._folder))
        return port + MEDIA_BEHIND

    def wait(self) -> None:
        """Until everybody has hung up. Raises OSError where a call failed."""
        for process in self._calls:
            if process.wait(timeout=300) != 0:
                raise OSError("SIPp could not complete a call")

    def stop(self) -> None:
        """End what still runs."""
        for process in (*self._calls, self._answering):
            process.kill()
            process.wait()

    def _wait_for_port(self) -> None:
        """Return when the answering telephone listens. Raises OSError."""
        end = time.monotonic() + _READY_S
        wanted = f"{self._wire.answering_host}:{ANSWERING_PORT} "
        while time.monotonic() < end and self._answering.poll() is None:
            bound = subprocess.run(
                [*self._wire.answering, "ss", "-Hlun"], capture_output=True, text=True, check=True
            )
            if wanted in bound.stdout:
                return
            time.sleep(0.05)
        raise OSError("SIPp did not start")


def _start(words: list[str], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    )
