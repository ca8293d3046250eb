"""What the rules order to be done to a call: instructions, their outcome, what follows from it.

A recorder cannot end a call. It orders: the entry ``action.ordered`` is durable, then the
instruction is shown to whoever serves the outputs, and the outcome is another entry. What is not
confirmed in time is an alarm, and the recording goes on. The recorder opens no connection for it.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from greffier.clock import SECOND
from greffier.config.records import Config
from greffier.control.board import Order
from greffier.control.desks import Acted, Instruction, Instructions
from greffier.control.messages import Done, Failure
from greffier.policy.verdict import Verdict
from greffier.recorder.archive import Archive
from greffier.recorder.call import Call
from greffier.recorder.promises import Promises
from greffier.recorder.troubles import Troubles
from greffier.recorder.trunk import Source

MOST_WAITING = 1024
NOTICE = "play_notice"
UNCONFIRMED = "action.unconfirmed"
Settled = Callable[[Call, str, str, bool], None]
"""Told of a call that runs, an action, the output ("": none), and whether it was done."""


@dataclass(slots=True)
class _Waiting:
    """An instruction without its outcome; ``seq`` is the entry that must be durable first."""

    instruction: Instruction
    call: Call
    seq: int
    until_ns: int  # monotonic


class Actions:
    """Owned by the recorder's thread; *sources* is the loop's own list."""

    def __init__(
        self,
        config: Config,
        archive: Archive,
        troubles: Troubles,
        sources: Sequence[Source],
        run: str,
        settled: Settled,
    ) -> None:
        """*run* is 32 hex digits of this start of the process."""
        self._outputs = [one for one in config.outputs if one.actions]
        self._archive = archive
        self._troubles = troubles
        self._sources = sources
        self._run = run
        self._settled = settled
        self._promises = Promises(archive.log)
        self._ordered: dict[str, set[str]] = {}  # of calls that run: what was ordered already
        self._waiting: dict[str, _Waiting] = {}

    # --- ordering ---

    def watch(self, now_ns: int) -> None:
        """Order what verdicts say now, and end what has waited too long."""
        running: dict[str, Call] = {}
        for call in self._running():
            wanted = self._wanted(call)
            if wanted or call.uid in self._ordered:
                running[call.uid] = call
            for action in wanted:
                if action not in self._ordered.get(call.uid, ()):
                    self._order(call, action, now_ns)
        if self._ordered:
            self._ordered = {uid: one for uid, one in self._ordered.items() if uid in running}
        steady = self._archive.clock.monotonic_ns()
        for key, one in list(self._waiting.items()):
            if one.call.uid not in running:
                # The best confirmation that a call ended is that it is over.
                outcome = "done" if one.instruction.action != NOTICE else "failed"
                self._end(key, outcome, now_ns, reason="call_over")
            elif steady >= one.until_ns:
                self._end(key, "failed", now_ns, reason="late")

    def _wanted(self, call: Call) -> tuple[str, ...]:
        verdict = call.verdict
        if verdict.action == "continue" and verdict.announce != "pre":
            return ()
        return tuple(_actions(verdict, self._plays(call.rules.line)))

    def _plays(self, line: str) -> bool:
        return any(one.serves(line, NOTICE) for one in self._outputs)

    def _order(self, call: Call, action: str, now_ns: int) -> None:
        line = call.rules.line
        able = [one for one in self._outputs if one.serves(line, action)]
        if len(self._waiting) >= MOST_WAITING:
            return  # in the next tick, when another has ended
        lasts_ns = sum(one.deadline_s for one in able) * SECOND
        made = Instruction(
            secrets.token_hex(16), action, line, call.uid, call.rules.extension,
            tuple(one.name for one in able), now_ns, now_ns + lasts_ns,
        )  # fmt: skip
        data = {
            "action": made.id,
            "what": action,
            "line": line,
            "uid": call.uid,
            "at_ns": now_ns,
            "until_ns": made.deadline_ns,
            "outputs": list(made.outputs),
        }
        entry = self._archive.log.append("action.ordered", None, data)
        until = self._archive.clock.monotonic_ns() + lasts_ns
        self._waiting[made.id] = _Waiting(made, call, entry.seq, until)
        self._ordered.setdefault(call.uid, set()).add(action)
        if not able:
            self._end(made.id, "no_output", now_ns)

    # --- outcomes ---

    def show(self) -> Instructions:
        """What outputs are to do now: that whose entry is durable."""
        durable = self._archive.log.checkpoint.size
        shown = [one.instruction for one in self._waiting.values() if one.seq < durable]
        return Instructions(self._run, tuple(shown))

    def take(self, request: Acted, order: Order) -> None:
        """An output says what became of an instruction; it is answered by :meth:`answer`."""
        one = self._waiting.get(request.instruction)
        named = one is not None and (
            not request.output or request.output in one.instruction.outputs
        )
        if one is None or not named:
            order.done(Failure("refused", "no_such_instruction"))
            return
        now = self._archive.clock.wall_ns()
        seq = self._end(
            request.instruction, request.outcome, now, output=request.output, user=order.uid
        )
        self._promises.make(seq, order, Done())

    def answer(self) -> None:
        """Answer the outputs whose entries are durable by now."""
        self._promises.keep()

    def _end(
        self,
        key: str,
        outcome: str,
        now_ns: int,
        *,
        output: str = "",
        reason: str = "",
        user: int | None = None,
    ) -> int:
        one = self._waiting.pop(key)
        made = one.instruction
        data = {
            "action": key,
            "what": made.action,
            "line": made.line,
            "uid": made.call,
            "at_ns": now_ns,
            "outcome": outcome,
        }
        data |= {"output": output} if output else {}
        data |= {"reason": reason} if reason else {}
        data |= {} if user is None else {"user": user}
        entry = self._archive.log.append("action.ended", None, data)
        if reason != "call_over":
            if outcome != "done":
                self._troubles.happened(UNCONFIRMED, made.line)
            self._settled(one.call, made.action, output, outcome == "done")
        return entry.seq

    def _running(self) -> Iterator[Call]:
        for source in self._sources:
            yield from source.running


def _actions(verdict: Verdict, plays: bool) -> Iterator[str]:
    """What *verdict* wants done, where the line has something that *plays* notices."""
    if verdict.announce == "pre" and plays:
        yield NOTICE
    if verdict.action != "continue":
        yield verdict.action
