"""Two SIPp in two namespaces: many calls at once, G.711 both ways, each leg from ports of its own.

Each party plays a capture of its own, so both directions carry speech that nobody echoed. SIPp
sends it with the same SSRC and the same numbers in every call: only addresses tell them apart.
"""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from greffier.capture.datagram import Datagram
from greffier_sim import captures, packets
from greffier_sim.captures import Plan
from greffier_sim.lab import CALLEE_HOST, CALLER_HOST, Lab
from greffier_sim.schedules import DUTY, SIPP_SSRC

AFTER_S = 0.3
"""Between the last packet and the BYE."""
SIP_PORT = 5060
MEDIA_PORT = 10_000
_SDP = """v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [auto_media_port] RTP/AVP 8
a=rtpmap:8 PCMA/8000
a=ptime:20
"""
_FIRST = """Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:+331[call_number]@[local_ip]:[local_port]>;tag=[pid]-[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>{peer}
Call-ID: [call_id]
CSeq: {number} {method}
Contact: <sip:caller@[local_ip]:[local_port]>
Max-Forwards: 70
"""
CALLER = f"""<?xml version="1.0" encoding="UTF-8" ?>
<scenario name="caller">
  <send retrans="500" start_rtd="1"><![CDATA[
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
{_FIRST.format(peer="", number=1, method="INVITE")}Content-Type: application/sdp
Content-Length: [len]

{_SDP}]]></send>
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
  <recv response="200" rtd="1"/>
  <send><![CDATA[
ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
{_FIRST.format(peer="[peer_tag_param]", number=1, method="ACK")}Content-Length: 0

]]></send>
  <nop><action><exec play_pcap_audio="AUDIO"/></action></nop>
  <pause milliseconds="TALK"/>
  <send retrans="500"><![CDATA[
BYE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
{_FIRST.format(peer="[peer_tag_param]", number=2, method="BYE")}Content-Length: 0

]]></send>
  <recv response="200"/>
</scenario>
"""
_BACK = """[last_Via:]
[last_From:]
[last_To:]{tag}
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port]>
"""
CALLEE = f"""<?xml version="1.0" encoding="UTF-8" ?>
<scenario name="callee">
  <recv request="INVITE" crlf="true"/>
  <send><![CDATA[
SIP/2.0 180 Ringing
{_BACK.format(tag=";tag=[pid]SIPpTag[call_number]")}Content-Length: 0

]]></send>
  <send retrans="500"><![CDATA[
SIP/2.0 200 OK
{_BACK.format(tag=";tag=[pid]SIPpTag[call_number]")}Content-Type: application/sdp
Content-Length: [len]

{_SDP}]]></send>
  <recv request="ACK"/>
  <nop><action><exec play_pcap_audio="AUDIO"/></action></nop>
  <recv request="BYE"/>
  <send><![CDATA[
SIP/2.0 200 OK
{_BACK.format(tag="")}Content-Length: 0

]]></send>
</scenario>
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What the caller's SIPp counted."""

    placed: int
    failed: int
    elapsed_s: float


def said(name: str, talk_s: float) -> list[Datagram]:
    """What the party called *name* (``caller`` or ``callee``) plays in a call."""
    plan = Plan(call_id=f"{name}@sipp", talk_ms=round(talk_s * 1000), caller_ssrc=SIPP_SSRC)
    return captures.speech(plan, "caller")


def place(
    lab: Lab,
    folder: Path,
    *,
    calls: int,
    rate: float,
    talk_s: float,
    called: str = DUTY,
    sip_port: int = SIP_PORT,
    media_port: int = MEDIA_PORT,
) -> Told:
    """Place *calls* calls, *rate* a second, each of *talk_s* seconds; returns when all are over.

    Two that run at once need ports of their own.
    """
    folder.mkdir(exist_ok=True)
    for name, text in (("caller", CALLER), ("callee", CALLEE)):
        audio = folder / f"{name}.pcap"
        audio.write_bytes(packets.pcap(packets.frames_of(said(name, talk_s))))
        pause = round((talk_s + AFTER_S) * 1000)
        words = text.replace("AUDIO", str(audio)).replace("TALK", str(pause))
        (folder / f"{name}.xml").write_text(words)
    common = ["-p", str(sip_port), "-mp", str(media_port), "-nostdin"]
    answering = _sipp(lab.callee, folder, "callee", "-i", CALLEE_HOST, *common)
    begun = time.monotonic()
    try:
        time.sleep(0.5)
        placing = _sipp(
            lab.caller, folder, "caller", "-i", CALLER_HOST, *common, "-s", called,
            "-m", str(calls), "-r", str(rate), "-l", str(calls), "-trace_stat", "-fd", "1",
            "-stf", str(folder / "stat.csv"), f"{CALLEE_HOST}:{sip_port}",
        )  # fmt: skip
        placing.wait(timeout=calls / rate + talk_s + 120)
    finally:
        answering.kill()
        answering.wait()
    rows = (folder / "stat.csv").read_text().splitlines()
    last = dict(zip(rows[0].split(";"), rows[-1].split(";"), strict=False))
    return Told(
        int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"]), time.monotonic() - begun
    )


def _sipp(namespace: str, folder: Path, name: str, *words: str) -> "subprocess.Popen[bytes]":
    with (folder / f"{name}.err").open("wb") as said:
        return subprocess.Popen(
            Lab.inside(namespace, "sipp", "-sf", str(folder / f"{name}.xml"), *words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            cwd=folder,
        )
