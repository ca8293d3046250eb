"""A trunk with real calls: SIPp on both ends of the loopback, tcpdump as the mirrored port."""

import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

HOST = "127.0.0.1"
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

    name: str
    number: str
    called: str
    audio: Path
    seconds: float


def free_ports(count: int) -> list[int]:
    """*count* UDP ports of the loopback that were free a moment ago (SIPp binds them itself).

    SIPp takes three more above its media port (RTCP, and video that nobody sends), so each comes
    with the seven above it.
    """
    found: list[int] = []
    held: list[socket.socket] = []
    try:
        for port in range(20_000, 32_000, 8):
            group = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]
            held += group
            try:
                for above, one in enumerate(group):
                    one.bind((HOST, port + above))
            except OSError:
                continue
            found.append(port)
            if len(found) == count:
                return found
    finally:
        for one in held:
            one.close()
    raise OSError("no free ports on the loopback")


class Mirror:
    """tcpdump on the loopback, for the ports of one line: what a mirrored switch port would see."""

    def __init__(self, path: Path, ports: list[int]) -> None:
        """Start to capture *ports* into *path*; returns when packets are seen.

        Raises OSError where capturing is not allowed.
        """
        if shutil.which("tcpdump") is None:
            raise OSError("tcpdump is not installed: apt-get install tcpdump")
        self.path = path
        expression = " or ".join(f"udp portrange {port}-{port + 1}" for port in ports)
        self._process = subprocess.Popen(
            # Immediate mode: a block that waits for its time-out would be lost when tcpdump ends.
            ["tcpdump", "-i", "lo", "--immediate-mode", "-U", "-w", str(path), expression],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None  # noqa: S101 - asked for above
        said = self._process.stderr.readline()
        while "listening" not in said:
            if not said:
                self._process.wait()
                raise OSError("tcpdump may not capture on the loopback: run as root")
            said = self._process.stderr.readline()

    def stop(self) -> int:
        """End the capture; return how many packets the kernel dropped."""
        self._process.send_signal(signal.SIGINT)
        assert self._process.stderr is not None  # noqa: S101 - asked for at the start
        said = self._process.stderr.read()
        self._process.wait(timeout=10)
        dropped = [line.split()[0] for line in said.splitlines() if "dropped by kernel" in line]
        return int(dropped[0]) if dropped else 0


def place_calls(callers: list[Caller], capture: Path, workdir: Path) -> int:
    """Place all *callers* at once, half a second apart, to one answering SIPp that echoes audio.

    Returns the packets that the capture itself dropped. Raises OSError where SIPp or tcpdump
    cannot do its part.
    """
    ports = free_ports(2 + 2 * len(callers))
    sip, media, rest = ports[0], ports[1], ports[2:]
    mirror = Mirror(capture, ports)
    answering = subprocess.Popen(
        ["sipp", "-sn", "uas", "-i", HOST, "-p", str(sip), "-mp", str(media), "-rtp_echo"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=workdir,
    )
    placed = []
    try:
        wait_for_port(sip)
        for number, caller in enumerate(callers):
            placed.append(start_caller(caller, number, sip, rest, workdir))
            time.sleep(0.5)
        for process in placed:
            if process.wait(timeout=60) != 0:
                raise OSError("SIPp could not complete a call on the loopback")
    finally:
        for process in [*placed, answering]:
            process.kill()
            process.wait()
        dropped = mirror.stop()
    return dropped


def start_caller(
    caller: Caller, number: int, sip: int, ports: list[int], workdir: Path
) -> subprocess.Popen[bytes]:
    """Start the SIPp that places one call."""
    head = HEAD.format(name=escape(caller.name), number=caller.number)
    scenario = workdir / f"caller-{capture_safe(caller.number)}-{number}.xml"
    scenario.write_text(
        SCENARIO.format(head=head, audio=caller.audio, milliseconds=int(caller.seconds * 1000)),
        encoding="utf-8",
    )
    own = ["-p", str(ports[2 * number]), "-mp", str(ports[2 * number + 1])]
    once = [f"{HOST}:{sip}", "-m", "1", "-timeout", "40", "-timeout_error"]
    return subprocess.Popen(
        ["sipp", "-sf", str(scenario), "-i", HOST, *own, "-s", caller.called, *once],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=workdir,
    )


def capture_safe(text: str) -> str:
    """Only the letters and digits of *text*, for a file name."""
    return "".join(character for character in text if character.isalnum())


def wait_for_port(port: int, seconds: float = 10.0) -> None:
    """Return when something has bound UDP *port* of the loopback.

    Raises OSError after *seconds*.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                return
        time.sleep(0.05)
    raise OSError("SIPp did not start")
