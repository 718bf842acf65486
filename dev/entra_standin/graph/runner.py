"""Runs cycles when they are due, in threads."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final, Self

from entra_standin.graph.jobs import Job

_THREADS: Final = 8
_TICK_SECONDS: Final = 0.02


class JobRunner:
    """Looks every few hundredths of a second for jobs that are due. As a context manager it stops at the end.

    Args:
        jobs: all jobs there are.
        now: the time.
    """

    def __init__(self, jobs: Callable[[], Iterable[Job]], now: Callable[[], datetime]) -> None:
        self._jobs, self._now = jobs, now
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="job")
        self._queued: set[str] = set()
        self._errors: list[Exception] = []
        self._thread = threading.Thread(target=self._run, name="job-runner", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Run no further cycle; those that run finish. Raises what a cycle ended in that is none of its results."""
        self._stopping.set()
        self._thread.join()
        self._pool.shutdown(cancel_futures=True)
        if self._errors:
            raise self._errors.pop(0)

    def _run(self) -> None:
        while not self._stopping.wait(_TICK_SECONDS):
            now = self._now()
            for job in self._jobs():
                if job.id not in self._queued and job.is_due(now):
                    self._queued.add(job.id)
                    self._pool.submit(self._cycle, job)

    def _cycle(self, job: Job) -> None:
        try:
            job.run_cycle()
        except Exception as error:  # noqa: BLE001 (stop raises it)
            self._errors.append(error)
        finally:
            self._queued.discard(job.id)
