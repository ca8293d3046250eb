"""A process of ours is started, awaited, killed and ended, and what it said is kept."""

from pathlib import Path

import pytest

from greffier_sim.service import Service, Unwell, children, cpu_s, is_gone, resident_kib

SLEEPS = ("python", "-c", "import time; print('here', flush=True); time.sleep(600)")
ENDS = ("python", "-c", "print('I have had enough'); raise SystemExit(3)")


def is_heard(service: Service, times: int = 1) -> None:
    service.wait_until(lambda: service.said().count("here") == times, "it says that it is here")


def test_a_service_is_killed_and_has_a_second_life_with_the_same_log(tmp_path: Path) -> None:
    service = Service(SLEEPS, tmp_path / "log")
    service.start()
    is_heard(service)
    first = service.pid
    assert cpu_s(first) >= 0 and resident_kib(first) > 0
    service.kill()
    assert not service.runs
    service.kill()  # nothing is left to kill
    assert service.start() >= 0
    is_heard(service, 2)
    assert service.pid != first
    assert service.stop() == -15


def test_whoever_waits_for_a_service_that_ended_is_told_so_at_once(tmp_path: Path) -> None:
    service = Service(ENDS, tmp_path / "log")
    service.spawn()
    with pytest.raises(Unwell, match="ended: I have had enough"):
        service.wait_until(lambda: False, "nothing at all", 600)
    assert not service.runs
    assert service.stop() == 3


def test_waiting_is_bounded(tmp_path: Path) -> None:
    service = Service(SLEEPS, tmp_path / "log")
    service.start()
    with pytest.raises(Unwell, match="does not come to this: the end of the world"):
        service.wait_until(lambda: False, "the end of the world", 0.1)
    service.stop()


def test_what_a_tracer_traces_dies_with_it(tmp_path: Path) -> None:
    service = Service(SLEEPS, tmp_path / "log", enter=("sh", "-c", '"$@"; exit $?', "sh"))
    service.start()
    is_heard(service)
    (inner,) = children(service.pid)
    service.kill()
    assert is_gone(inner)
