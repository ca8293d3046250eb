"""Established calls on a wire by the hundred: signalling first, then their sound.

The sound comes from generate_rtp.c, which says what the addresses of call *n* are; signalling is
sent as frames at a pace that a recorder can follow.
"""

import subprocess
import sys
from pathlib import Path

from greffier.capture.datagram import Address
from greffier_sim import captures
from greffier_sim.lab import Wire
from greffier_sim.packets import frames_of, pcap
from greffier_sim.schedules import DUTY

HERE = Path(__file__).parent
A_SECOND = 50
"""Calls set up a second."""
_SECOND_NS = 1_000_000_000


def plan_of(call: int) -> captures.Plan:
    """Call *call* as generate_rtp.c sends it."""
    low = f"{call // 250}.{1 + call % 250}"
    return captures.Plan(
        call_id=f"traffic-{call}@sim",
        start_ns=1_700_000_000 * _SECOND_NS + call * _SECOND_NS // A_SECOND,
        ring_ms=30,
        talk_ms=0,
        caller_media=Address(f"10.1.{low}", 4000),
        callee_media=Address(f"10.2.{low}", 5000),
        codings=(captures.PCMA,),
        to_number=DUTY,
    )


class Traffic:
    """What is sent into one end of *wire*; *folder* takes files."""

    def __init__(self, folder: Path, wire: Wire, calls: int) -> None:
        self._wire = wire
        self.calls = calls
        self._program = folder / "generate_rtp"
        source = str(HERE / "generate_rtp.c")
        subprocess.run(["gcc", "-std=c11", "-O2", source, "-o", str(self._program)], check=True)
        self._files = {}
        for name, part in (("opening", captures.opening), ("closing", captures.closing)):
            datagrams = captures.in_order(
                [one for call in range(calls) for one in part(plan_of(call))]
            )
            self._files[name] = folder / f"{name}.pcap"
            self._files[name].write_bytes(pcap(frames_of(datagrams)))

    def signal(self, name: str) -> None:
        """Send the "opening" or the "closing" of every call."""
        words = [sys.executable, "-m", "greffier_sim.replay", str(self._files[name])]
        subprocess.run(
            self._wire.inside(*words, self._wire.port), check=True, stdout=subprocess.DEVNULL
        )

    def talk(self, seconds: int, *before: str, ramp: int = 0) -> "Talk":
        """Let every call talk for *seconds*; they begin one after another in *ramp* seconds.

        *before* are words to start the program by. The sources are always the same, numbers and
        all: a second talk is a repetition of the first.
        """
        words = [*before, str(self._program), self._wire.port, str(self.calls), str(seconds)]
        words += [str(ramp)]
        return Talk(subprocess.Popen(self._wire.inside(*words), stdout=subprocess.PIPE, text=True))


class Talk:
    """Sound that is being sent."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def wait(self) -> int:
        """Wait for its end; how many packets were sent.

        Raises RuntimeError if the wire refused some.
        """
        said, _ = self._process.communicate()
        if self._process.returncode != 0:
            raise RuntimeError("the sound could not be sent")
        sent, refused = map(int, said.split())
        if refused:
            raise RuntimeError(f"the wire refused {refused} packets")
        return sent
