"""The gate's way to the recorder: the control socket, by a few threads, nobody waits for ever.

The event loop's thread calls; the answers are waited for elsewhere. What is beyond the bound is
refused at once, so a recorder that hangs holds no more than that.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from greffier.control.desks import (
    Acted,
    AskCalls,
    AskInstructions,
    Calls,
    Instruction,
    Instructions,
)
from greffier.control.facts import FactTaken, Tell
from greffier.control.messages import Answer, Done, Request
from greffier.errors import GreffierError, Refused

MOST_WAITING: Final = 32
THREADS: Final = 4
"""A user may have 8 connections to the control socket."""

Ask = Callable[[Request], Answer]


class Unavailable(Exception):
    """The recorder does not answer now; *error* is a word of docs/facts-api.md."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class Link:
    """*ask* asks the recorder and waits a bounded time; it is called by threads of ours."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="link")
        self._waiting = 0  # the loop's thread alone

    def close(self) -> None:
        """Ask nothing more; what is asked already comes to its end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def tell(self, fact: Tell) -> FactTaken:
        """Tell a fact. Raises Unavailable: it may be taken all the same."""
        answer = await self._of(fact)
        if not isinstance(answer, FactTaken):
            raise Unavailable("busy")
        return answer

    async def calls(self, request: AskCalls) -> Calls:
        """The calls at some desks. Raises Unavailable."""
        answer = await self._of(request)
        if not isinstance(answer, Calls):
            raise Unavailable("busy")
        return answer

    async def instructions(self) -> tuple[Instruction, ...]:
        """What outputs are to do now. Raises Unavailable."""
        answer = await self._of(AskInstructions())
        if not isinstance(answer, Instructions):
            raise Unavailable("busy")
        return answer.instructions

    async def acted(self, report: Acted) -> bool:
        """Say what became of an instruction; False where nobody waits for it any more.

        Raises Unavailable.
        """
        try:
            return isinstance(await self._of(report), Done)
        except Refused:
            return False

    async def _of(self, request: Request) -> Answer:
        if self._waiting >= MOST_WAITING:
            raise Unavailable("busy")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._ask, request)
        except Refused as error:
            if error.fields.get("code") == "refused" and isinstance(request, Acted):
                raise
            raise Unavailable("busy") from None
        except GreffierError:
            raise Unavailable("not_running") from None
        finally:
            self._waiting -= 1
