"""Who reads which rows: this process alone, or Ray's workers; the results are the same."""

import logging
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import torch

from pipeline.corpus.pairs import SentencePair
from pipeline.errors import PipelineError
from pipeline.params import Ray
from pipeline.sums.worker import Done, Reading, Task, Worker

AHEAD = 2
"""Tasks that a worker has at a time, one of them waiting: more would only lie in memory."""
LOSSES = 3
"""Workers that may be lost over the same rows."""


@runtime_checkable
class Engine(Protocol):
    """Runs tasks."""

    def about(self, pairs: Sequence[SentencePair]) -> dict[str, dict[str, Any]]:
        """Return what manifests say (`Worker.about`)."""
        ...

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """Yield what every task adds, in any order."""
        ...

    def close(self) -> None:
        """Let go of what was started."""
        ...


def engine_of(name: str, readings: Sequence[Reading], settings: Ray) -> Engine:
    """Return the engine called `local` or `ray`, its models loaded."""
    return RayEngine(readings, settings) if name == "ray" else LocalEngine(readings)


class LocalEngine:
    """One after the other, in this process."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._worker = Worker(readings)

    def about(self, pairs: Sequence[SentencePair]) -> dict[str, dict[str, Any]]:
        """Return what manifests say."""
        return self._worker.about(pairs)

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """Yield what every task adds, in their order."""
        return map(self._worker.run, tasks)

    def close(self) -> None:
        """Do nothing: there is nothing to let go."""


class _ThereWorker(Worker):
    """A worker in another process, in the project's folder: model folders are seen from there."""

    def __init__(self, folder: str, readings: Sequence[Reading], threads: int) -> None:
        os.chdir(folder)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        super().__init__(readings, threads)


class RayEngine:
    """Ray actors with the models; rows of a worker that is lost are read again by a new one.

    Parameters
    ----------
    readings : sequence of Reading
        Kinds of weights.
    settings : Ray
        Address, workers, GPUs a worker.

    Raises
    ------
    PipelineError
        If ray is not installed, the cluster cannot be reached, or this machine lacks GPUs for the workers.
    """

    there: type[_ThereWorker] = _ThereWorker

    def __init__(self, readings: Sequence[Reading], settings: Ray) -> None:
        try:
            import ray
        except ImportError:
            message = (
                "extract.engine: ray needs the extra package, but it is not installed; "
                "run `pip install -e .[ray]`, or set engine: local"
            )
            raise PipelineError(message) from None
        _check_gpus(settings)
        self._ray, self._readings, self._settings = ray, list(readings), settings
        self._threads = torch.get_num_threads()
        path = os.pathsep.join([os.getcwd(), *filter(None, [os.environ.get("PYTHONPATH")])])
        variables = {"PYTHONPATH": path, "OMP_NUM_THREADS": str(self._threads)}
        try:
            ray.init(
                address=settings.address or "local",  # else RAY_ADDRESS, or any cluster that runs here, is joined
                num_cpus=None if settings.address else settings.workers * self._threads,
                include_dashboard=False if settings.address is None else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": variables},
                ignore_reinit_error=True,
            )
        except (ConnectionError, ValueError) as error:  # the latter where it is no address
            message = (
                f"ray.address: must be that of a running cluster, or null, but {settings.address!r} does not answer "
                f"({error}); start it with `ray start --head`"
            )
            raise PipelineError(message) from None
        self._actor = ray.remote(num_cpus=self._threads, num_gpus=settings.gpus)(self.there)
        self._workers = [self._start() for _ in range(settings.workers)]

    def _start(self) -> Any:
        return self._actor.remote(os.getcwd(), self._readings, self._threads)

    def about(self, pairs: Sequence[SentencePair]) -> dict[str, dict[str, Any]]:
        """Return what manifests say."""
        return self._result(self._workers[0].about.remote(pairs))

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """Yield what every task adds, as they come.

        Raises
        ------
        PipelineError
            What a worker raised; or if the same rows have cost several workers.
        """
        lost = (self._ray.exceptions.RayActorError, self._ray.exceptions.OutOfMemoryError)
        waiting, again, losses = iter(tasks), deque[Task](), dict[int, int]()
        running: dict[Any, tuple[Any, Task]] = {}
        for worker in self._workers * AHEAD:
            self._give(worker, again, waiting, running)
        while running:
            (ready,), _ = self._ray.wait(list(running), num_returns=1)
            worker, task = running.pop(ready)
            try:
                yield self._result(ready)
            except lost:
                losses[task.step] = losses.get(task.step, 0) + 1
                self._check_losses(task.start, losses[task.step])
                again.append(task)
                if worker in self._workers:  # its other task fails too, and finds it replaced
                    self._workers.remove(worker)
                    self._workers.append(self._start())
            self._feed(again, waiting, running)

    def _feed(self, again: deque[Task], waiting: Iterator[Task], running: dict[Any, tuple[Any, Task]]) -> None:
        for worker in self._workers:
            busy = sum(own is worker for own, _ in running.values())
            for _ in range(AHEAD - busy):
                self._give(worker, again, waiting, running)

    @staticmethod
    def _give(worker: Any, again: deque[Task], waiting: Iterator[Task], running: dict[Any, tuple[Any, Task]]) -> None:
        task = again.popleft() if again else next(waiting, None)
        if task is not None:
            running[worker.run.remote(task)] = worker, task

    @staticmethod
    def _check_losses(start: int, losses: int) -> None:
        if losses >= LOSSES:
            message = (
                f"ray: a worker may be lost {LOSSES - 1} times over the same rows, but was {losses} times over those "
                f"from {start} on; give each more memory, or lower extract.tokens_per_batch"
            )
            raise PipelineError(message)

    def _result(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, PipelineError):
                raise PipelineError(str(error.cause)) from None
            raise

    def close(self) -> None:
        """Let the workers go, and the cluster if it was started here."""
        for worker in self._workers:
            self._ray.kill(worker)
        self._ray.shutdown()


def _check_gpus(settings: Ray) -> None:
    """Refuse workers that a cluster of this machine would wait for without end; another cluster may still grow."""
    if settings.address is not None or settings.gpus == 0:
        return
    n_gpus = torch.cuda.device_count()
    room = int(n_gpus // settings.gpus) if settings.gpus >= 1 else n_gpus * int(1 / settings.gpus)
    if settings.workers > room:
        message = (
            f"ray.workers: must be at most {room} where ray.gpus is {settings.gpus:g} and this machine has {n_gpus} "
            f"GPUs, but it is {settings.workers}; lower "
            + ("ray.workers, or ray.gpus so that some share one" if n_gpus else "ray.gpus to 0, to read on its cores")
        )
        raise PipelineError(message)
