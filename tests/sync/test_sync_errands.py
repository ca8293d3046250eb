"""Errands: jobs are done in their order by a thread of their own, and nobody waits for it."""

import threading

from greffier.sync.errands import Errands


def test_jobs_are_done_in_their_order_while_whoever_gave_them_goes_on() -> None:
    may_go, done, results = threading.Event(), threading.Event(), []

    def slow(job: int) -> int:
        may_go.wait(120)
        return 2 * job

    def tell(result: int) -> None:
        results.append(result)
        if len(results) == 3:
            done.set()

    errands: Errands[int, int] = Errands(slow, tell)
    stop = threading.Event()
    thread = threading.Thread(target=errands.run, args=(stop,))
    thread.start()
    for job in (1, 2, 3):
        errands.put(job)
    assert results == []
    may_go.set()
    assert done.wait(120)
    assert results == [2, 4, 6]
    stop.set()
    thread.join(120)
    assert not thread.is_alive()


def test_what_waits_at_the_end_is_not_begun() -> None:
    begun = threading.Event()
    may_go, stop = threading.Event(), threading.Event()
    done: list[int] = []

    def job(number: int) -> int:
        begun.set()
        may_go.wait(120)
        return number

    errands: Errands[int, int] = Errands(job, done.append)
    errands.put(1)
    errands.put(2)
    thread = threading.Thread(target=errands.run, args=(stop,))
    thread.start()
    assert begun.wait(120)
    stop.set()
    may_go.set()
    thread.join(120)
    assert done == [1]
