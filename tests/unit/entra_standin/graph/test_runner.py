"""Cycles in the background, forty minutes compressed to fractions of a second."""

import threading
import time
from collections.abc import Callable

import pytest

from entra_standin.directory import six_people
from entra_standin.graph import MicrosoftCloud
from unit.entra_standin.faulty_service import TOKEN

DEADLINE_SECONDS = 20.0


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_jobs_run_by_themselves_go_into_quarantine_and_come_back(scim_url: str) -> None:
    with MicrosoftCloud() as cloud:
        application = cloud.add_tenant().add_application(
            credentials={"BaseAddress": scim_url, "SecretToken": "wrong"}, people=six_people()
        )
        [job] = application.jobs
        with cloud.run_jobs(every_seconds=0.1):
            job.start()
            eventually(lambda: job.state == "Quarantine")
            application.credentials["SecretToken"] = TOKEN
            eventually(lambda: job.state == "Active")
            done = len(job.history)
            eventually(lambda: len(job.history) >= done + 3)
        names = {thread.name for thread in threading.enumerate()}
        assert not {name for name in names if name.startswith("job")}


def test_what_no_cycle_should_end_in_is_raised_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with MicrosoftCloud() as cloud:
        [job] = cloud.add_tenant().add_application(started=True).jobs
        broken = threading.Event()

        def run_cycle() -> None:
            broken.set()
            raise RuntimeError("a fault of ours")

        monkeypatch.setattr(job, "run_cycle", run_cycle)
        runner = cloud.run_jobs(every_seconds=1)
        assert broken.wait(DEADLINE_SECONDS)
        with pytest.raises(RuntimeError, match="of ours"):
            runner.stop()
        monkeypatch.undo()


@pytest.mark.parametrize("every_seconds", [2.0, 0.5])
def test_all_times_are_compressed_alike(every_seconds: float) -> None:
    with MicrosoftCloud() as cloud:
        cloud.run_jobs(every_seconds=every_seconds)
        assert cloud.schedule.cycle_every.total_seconds() == pytest.approx(every_seconds)
        assert cloud.schedule.retries[0].total_seconds() == pytest.approx(9 * every_seconds)
        assert cloud.schedule.disabled_after.total_seconds() == pytest.approx(28 * 36 * every_seconds)
