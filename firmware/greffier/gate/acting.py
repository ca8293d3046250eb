"""Instructions of the recorder, carried out by outputs, and their outcome brought back.

Owned by the event loop's thread. An instruction is tried by its line's outputs in their order until
one has done it. What was begun when the gate was killed is begun again: outputs know it by its id.
"""

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from greffier.clock import SECOND, Clock
from greffier.config.records import Output
from greffier.control.desks import Acted, Instruction
from greffier.gate.actors import Actor, ActorFailed
from greffier.gate.link import Link, Unavailable

THREADS: Final = 8
_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Asked:
    """An instruction that a person at a desk is asked to carry out, and who waits for that."""

    instruction: Instruction
    answer: asyncio.Future[bool]


class Acting:
    """*actors* are the outputs that act by themselves, by name; the others are pages."""

    def __init__(
        self, link: Link, outputs: Iterable[Output], actors: Mapping[str, Actor], clock: Clock
    ) -> None:
        self._link = link
        self._outputs = {one.name: one for one in outputs}
        self._actors = actors
        self._clock = clock
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="actor")
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._asked: dict[str, Asked] = {}

    async def poll(self) -> None:
        """Take what is new. Raises Unavailable."""
        found = await self._link.instructions()
        for one in found:
            if one.id not in self._busy:
                self._busy[one.id] = asyncio.create_task(self._carry(one))
        shown = {one.id for one in found}
        for key in [key for key, task in self._busy.items() if key not in shown and task.done()]:
            del self._busy[key]

    def asked(self, extension: str) -> list[Instruction]:
        """What people at *extension* are asked to do now."""
        found = [one.instruction for one in self._asked.values()]
        return [one for one in found if one.extension == extension]

    def answer(self, key: str, extension: str, done: bool) -> bool:
        """Somebody at *extension* says what became of it; False where nobody asked."""
        one = self._asked.get(key)
        if one is None or one.instruction.extension != extension or one.answer.done():
            return False
        one.answer.set_result(done)
        return True

    async def stop(self) -> None:
        """Carry out nothing more."""
        for task in self._busy.values():
            task.cancel()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _carry(self, instruction: Instruction) -> None:
        report = Acted(instruction.id, "no_output")
        for name in instruction.outputs:
            output = self._outputs.get(name)
            if output is None:  # the gate's configuration is another one
                continue
            done = await self._done(output, instruction)
            report = Acted(instruction.id, "done" if done else "failed", name)
            if done:
                break
        while not self._is_over(instruction):
            try:
                await self._link.acted(report)
                return
            except Unavailable:
                await asyncio.sleep(_AGAIN_S)

    async def _done(self, output: Output, instruction: Instruction) -> bool:
        actor = self._actors.get(output.name)
        try:
            async with asyncio.timeout(self._left_s(instruction, output)):
                if actor is None:
                    return await self._ask(instruction)
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._threads, actor.act, instruction)
        except (ActorFailed, TimeoutError):
            return False
        return True

    async def _ask(self, instruction: Instruction) -> bool:
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked[instruction.id] = Asked(instruction, answer)
        try:
            return await answer
        finally:
            del self._asked[instruction.id]

    def _left_s(self, instruction: Instruction, output: Output) -> float:
        left_ns = instruction.deadline_ns - self._clock.wall_ns()
        return max(0.0, min(left_ns / SECOND, float(output.deadline_s)))

    def _is_over(self, instruction: Instruction) -> bool:
        return self._clock.wall_ns() > instruction.deadline_ns + 10 * SECOND
