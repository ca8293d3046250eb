"""Calls for ever: keeps some calls running on an interface, and writes down what it said.

`python -m greffier_sim.talk INTERFACE LOG [--calls N] [--seed N]`: calls begin one after another,
5 to 30 s long, half of them (`--duty`) on a line with a duty, the others on a drawn one, all with
the same SSRC or each with its own. Each packet carries the stamp of its call, side and number. When
standard input closes no new call begins; the program ends with its last call. LOG gets one JSON
object a call, when it is over: its Call-ID, addresses, and when each message and packet really went
out (ns, wall clock).
"""

import argparse
import heapq
import itertools
import json
import random
import select
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from greffier.capture.datagram import Address, Datagram
from greffier_sim import captures, packets
from greffier_sim.captures import MS, Plan, Side
from greffier_sim.schedules import DUTY, SAMPLED, SIPP_SSRC

_LOOK_S = 0.02


class Call:
    """One call: what goes out when, and what went out."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.sent: dict[str, list[int]] = {side: [] for side in get_args(Side)}
        self.invited_ns = 0
        self.ended_ns = 0

    def datagrams(self) -> Iterator[tuple[Datagram, Side | None]]:
        """What goes out, in order; the side of what is speech."""
        for one in captures.opening(self.plan):
            yield one, None
        for index in range(self.plan.talk_ms // self.plan.ptime_ms):
            for side in get_args(Side):
                yield captures.speech(self.plan, side, first=index, count=1)[0], side
        for one in captures.closing(self.plan):
            yield one, None

    def told(self) -> dict[str, Any]:
        """The line of the log."""
        plan = self.plan
        return {
            "call_id": plan.call_id,
            "duty": plan.to_number == DUTY,
            "invited_ns": self.invited_ns,
            "ended_ns": self.ended_ns,
            "media": {side: str(plan.media(side)) for side in get_args(Side)},
            "sent": self.sent,
        }


def new_call(draw: random.Random, number: int, words: argparse.Namespace) -> Call:
    """The next call, beginning now; its addresses are its own."""
    ssrc = draw.choice([SIPP_SSRC, draw.getrandbits(32)])
    host = f"{number // 200 % 200}.{1 + number % 200}"
    return Call(
        Plan(
            call_id=f"kill-{number:05d}@sim",
            start_ns=time.time_ns(),
            ring_ms=draw.randrange(100, 900),
            talk_ms=20 * round(draw.uniform(words.shortest, words.longest) * 50),
            caller_media=Address(f"10.1.{host}", 4000),
            callee_media=Address(f"10.2.{host}", 5000),
            caller_ssrc=ssrc,
            callee_ssrc=ssrc,
            caller_sequence=draw.randrange(65_536),
            callee_sequence=draw.randrange(65_536),
            to_number=DUTY if draw.random() < words.duty else SAMPLED,
        )
    )


def talk(words: argparse.Namespace, wire: socket.socket) -> None:
    """Place calls until standard input closes, and end those that run."""
    draw = random.Random(words.seed)
    numbers = itertools.count(1)
    queue: list[tuple[int, int, Datagram, Side | None, Call, Iterator[Any]]] = []
    order = itertools.count()
    running, open_, next_ns = 0, True, 0
    with words.log.open("w") as log:
        while open_ or running:
            now = time.time_ns()
            if open_ and running < words.calls and now >= next_ns:
                call = new_call(draw, next(numbers), words)
                _next(queue, order, call, call.datagrams())
                running += 1
                next_ns = now + draw.randrange(50, 1_500) * MS
            while queue and queue[0][0] <= time.time_ns():
                _, _, datagram, side, call, rest = heapq.heappop(queue)
                _send(wire, datagram, side, call)
                if not _next(queue, order, call, rest):
                    call.ended_ns = time.time_ns()
                    log.write(json.dumps(call.told()) + "\n")
                    log.flush()
                    running -= 1
            wait = (queue[0][0] - time.time_ns()) / 1e9 if queue else _LOOK_S
            if open_:
                ready = select.select([sys.stdin], [], [], max(0, min(wait, _LOOK_S)))[0]
                open_ = not (ready and not sys.stdin.buffer.read(1))
            elif wait > 0:
                time.sleep(min(wait, _LOOK_S))


def _next(queue: list[Any], order: Iterator[int], call: Call, rest: Iterator[Any]) -> bool:
    found = next(rest, None)
    if found is None:
        return False
    datagram, side = found
    heapq.heappush(queue, (datagram.time_ns, next(order), datagram, side, call, rest))
    return True


def _send(wire: socket.socket, datagram: Datagram, side: Side | None, call: Call) -> None:
    packet = packets.udp(datagram.source, datagram.destination, datagram.payload)
    wire.send(packets.frame(packet))
    if side is not None:
        call.sent[side].append(time.time_ns())
    elif not call.invited_ns:
        call.invited_ns = time.time_ns()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="talk")
    parser.add_argument("interface")
    parser.add_argument("log", type=Path)
    parser.add_argument("--calls", type=int, default=6, help="at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shortest", type=float, default=5.0)
    parser.add_argument("--longest", type=float, default=30.0)
    parser.add_argument("--duty", type=float, default=0.5, help="share of those with a duty")
    words = parser.parse_args()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((words.interface, 0))
        print("ready", flush=True)
        talk(words, wire)


if __name__ == "__main__":
    main()
