"""Many installers to many tenants, over whatever runs functions elsewhere: threads, processes, Dask.

A *job* is what one worker does in one go: installers of one tenant, one after the other. A tenant is one worker's at a
time, so its list is read once, and its rate limit and its races stay in one place. A worker gives back what it has done
after `SLICE` seconds, and the rest of that tenant is given out once more.

A job is bytes until its worker has compared versions, and holds no token: that is found where it is used. A worker that
dies is no harm: what it had done is there, and the worker that does it again finds it. After a death only a quarter is
given out at a time, so that one installer that kills its workers is soon alone, and the others go on.
"""

from __future__ import annotations

import os
import pickle
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from queue import SimpleQueue

from kandji_uploader import __version__
from kandji_uploader._util import signals
from kandji_uploader._util.secret import Secret
from kandji_uploader.errors import InterruptedRunError, WorkerError
from kandji_uploader.flows import casks
from kandji_uploader.flows.publish import run as publish_file
from kandji_uploader.flows.tenants import at_one, failed
from kandji_uploader.kandji import tenant as views
from kandji_uploader.models import RunResult, Tenant
from kandji_uploader.publish.queue import Batch
from kandji_uploader.publish.request import Host, Request

SLICE = 60.0
"""Seconds after which a worker gives back what it has done; the list is read once more for what is left. Only in this
process a result is there as soon as its installer has ended; another one answers once, with all that it has done."""
_TRIES = 3
"""How often one installer is given out alone, where workers die over it; and how many may end so, one after the other,
before the rest of their tenant is given up."""

Task = Request | casks.Order


@dataclass(frozen=True)
class Job:
    """What is to be published to one tenant.

    Attributes:
        tenant: the tenant; without a name where it is the one of the settings.
        tasks: installers and casks.
        most: how many of them are given out at a time; 0 for all.
        tries: how often workers have died over the first of them alone.
        lost: how many were given up, one after the other.
    """

    tenant: Tenant
    tasks: tuple[Task, ...]
    most: int = 0
    tries: int = 0
    lost: int = 0

    def after(self, done: int) -> Job:
        """What is left of it once so many are done; twice as many are given out at a time then."""
        return Job(self.tenant, self.tasks[done:], self.most * 2)

    def after_a_death(self) -> Job:
        """What is to be tried once its worker has died: a quarter of it, or the first task alone once more."""
        size = min(self.most or len(self.tasks), len(self.tasks))
        return replace(self, most=size // 4 or 1, tries=self.tries + (size == 1))


@dataclass(frozen=True)
class Done:
    """What became of a job.

    Attributes:
        results: one for each of its first tasks; the others are left.
        refused: why the worker does none of it; "" where it does.
        died: what became of the worker, where it has died over it.
        told: whether the results were told when they were there.
    """

    results: tuple[RunResult, ...] = ()
    refused: str = ""
    died: str = ""
    told: bool = False


def title(task: Task) -> str:
    """What a task is called in reports: the path or the cask."""
    return task.token if isinstance(task, casks.Order) else str(task.path)


# At the worker


def work(version: str, packed: bytes) -> Done:
    """Do a job, in another process than the one that asks for it.

    Args:
        version: of the library there. Nothing else is looked at where it is not ours.
        packed: the job.
    """
    if version != __version__:
        return Done(
            refused=f"the worker {_here()} has KandjiUploader {__version__}, and this is {version}; "
            "install the same version on both"
        )
    return do(pickle.loads(packed), Host(), threading.Event())  # noqa: S301 - from the one who gives us work


def do(job: Job, host: Host, stop: threading.Event, tell: Callable[[RunResult], None] | None = None) -> Done:
    """Do a job, or as much of it as goes into `SLICE` seconds.

    Args:
        job: the job.
        host: who is told.
        stop: set where no further installer is to be begun.
        tell: called with each result when it is there.
    """
    until = time.monotonic() + SLICE
    there = replace(host, tenant=job.tenant, batch=Batch(), announces=False)
    results: list[RunResult] = []
    try:
        for task in job.tasks:
            if results and (time.monotonic() > until or stop.is_set()):
                break
            results.append(_done(job.tenant, task, there))
            if tell:
                tell(results[-1])
    except (InterruptedRunError, KeyboardInterrupt) as stopped:
        host.warn(f"{job.tenant.name or job.tenant.url}: {stopped or 'stopped'}")
    finally:
        views.let_go(job.tenant.url)
    return Done(tuple(results), told=tell is not None)


def _done(tenant: Tenant, task: Task, host: Host) -> RunResult:
    def publish(there: Host) -> RunResult:
        return casks.run(task, there) if isinstance(task, casks.Order) else publish_file(task, there)

    assert host.batch is not None  # noqa: S101 - `do` has made it
    name = title(task)
    try:
        return replace(at_one(tenant, publish, name, host.batch.failures, host), source=name)
    except (InterruptedRunError, KeyboardInterrupt):
        raise
    except Exception as bug:  # noqa: BLE001 - one task must not take the others with it; its text may hold a secret
        text = f"a defect of ours ({type(bug).__name__}, version {__version__}); please report it"
        return failed(tenant, name, text, "defect")


def _here() -> str:
    return f"{socket.gethostname()} (process {os.getpid()})"


# Where the work is given out


@contextmanager
def scheduler(address: str, patience: float = 10.0) -> Iterator[Executor]:
    """The workers of a Dask scheduler.

    Args:
        address: such as `tcp://HOST:8786`.
        patience: seconds to wait for the scheduler, and then for the first worker.

    Raises:
        WorkerError: Dask is not installed, nobody is there, or there are no workers.
    """
    from asyncio import TimeoutError as SlowError  # another class than TimeoutError, up to Python 3.10

    try:
        from distributed import Client
    except ImportError:
        raise WorkerError("Dask is not installed here; in the checkout: `python3 -m pip install '.[dask]'`") from None
    try:
        client = Client(address, timeout=patience)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, SlowError) as problem:
        kind = type(problem).__name__
        raise WorkerError(
            f"no Dask scheduler answers at {address} ({kind}); is it running? Write it as tcp://HOST:8786"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=patience)
        except (TimeoutError, SlowError):
            raise WorkerError(
                f"the Dask scheduler at {address} has no workers; start some: `dask worker {address}`"
            ) from None
        with client.get_executor() as executor:  # type: ignore[no-untyped-call]
            yield executor


@dataclass
class Course:
    """Jobs on their way.

    Args:
        jobs: one for each tenant.
        executor: who does them.
        host: who is told, in this process.
        tokens: of tenants, by address, where the caller gave them; in this process only.
    """

    jobs: Sequence[Job]
    executor: Executor
    host: Host
    tokens: Mapping[str, Secret] = field(default_factory=dict)
    _waiting: dict[Future[Done], Job] = field(default_factory=dict)
    _news: SimpleQueue[RunResult | Future[Done]] = field(default_factory=SimpleQueue)
    _stop: threading.Event = field(default_factory=threading.Event)
    _own: list[Executor] = field(default_factory=list)
    _ended: Counter[str] = field(default_factory=Counter)

    def run(self) -> Generator[RunResult, None, None]:
        """What became of each task, as they end; to be closed where the rest is not to be done.

        Raises:
            InterruptedRunError: SIGINT or SIGTERM.
        """
        try:
            for job in self.jobs:
                yield from self._give_out(job)
            while self._waiting:
                news = self._news.get()
                if isinstance(news, RunResult):
                    yield news
                else:
                    yield from self._take(news, self._waiting.pop(news))
        except KeyboardInterrupt:
            with signals.stopping_others() as stop:
                stop.set()
                self._end()
            raise self._account() from None
        finally:
            self._end()

    def _give_out(self, job: Job) -> Iterator[RunResult]:
        """Give a job to the executor; what it does not take any more has failed."""
        share = replace(job, tasks=job.tasks[: job.most or None])
        try:
            if is_here(self.executor):
                future = self.executor.submit(do, share, self._host_of(job), self._stop, self._tell(job))
            else:
                future = self.executor.submit(work, __version__, pickle.dumps(share))
        except BrokenExecutor:
            self._go_on_here()
            yield from self._give_out(job)
        except RuntimeError:
            yield from self._failed(job, "the executor was shut down before this was begun; publish it again")
        else:
            self._waiting[future] = job
            future.add_done_callback(self._news.put)

    def _tell(self, job: Job) -> Callable[[RunResult], None]:
        def tell(result: RunResult) -> None:
            self._ended[job.tenant.url] += 1
            self._news.put(result)

        return tell

    def _take(self, future: Future[Done], job: Job) -> Iterator[RunResult]:
        """The results of a job that has come back; what is left of it is given out again."""
        done = self._what_became_of(future, job)
        if done.refused:
            yield from self._failed(job, done.refused)
            return
        if not done.told:
            self._ended[job.tenant.url] += len(done.results)
            yield from done.results
        left = job.after(len(done.results))
        if not done.results:
            yield from self._again(job.after_a_death(), done.died or _STOPPED)
        elif left.tasks:
            yield from self._give_out(left)

    def _again(self, job: Job, died: str) -> Iterator[RunResult]:
        """Give out what a worker has died over; an installer over which it was alone three times has failed."""
        if job.tries >= _TRIES:
            yield from self._failed(replace(job, tasks=job.tasks[:1]), died)
            job = replace(job, tasks=job.tasks[1:], tries=0, lost=job.lost + 1)
        if job.lost >= _TRIES:
            yield from self._failed(job, f"not begun, since {_TRIES} others before it were given up: {died}")
        elif job.tasks:
            yield from self._give_out(job)

    def _what_became_of(self, future: Future[Done], job: Job) -> Done:
        try:
            return future.result()
        except CancelledError:
            return Done(refused="it was cancelled before it was begun; publish it again")
        except BrokenExecutor:
            self._go_on_here()
            return Done(died=_STOPPED)
        except Exception as problem:  # noqa: BLE001 - whatever the executor makes of a worker that died
            name, kind = job.tenant.name, type(problem).__name__
            self.host.warn(f"{name}: a worker has failed over it ({kind}); it is given out again")
            return Done(died=_died(problem))

    def _failed(self, job: Job, why: str) -> Iterator[RunResult]:
        self._ended[job.tenant.url] += len(job.tasks)
        yield from (failed(job.tenant, title(task), why, WorkerError.code) for task in job.tasks)

    def _go_on_here(self) -> None:
        """The pool of processes is broken for good, since one of them died: its work is done by threads, here."""
        if self.executor in self._own:
            return
        self.host.warn("a worker has died, and its pool with it; what is left is published by this process")
        self.executor.shutdown(wait=True)
        self.executor = ThreadPoolExecutor(4)
        self._own.append(self.executor)

    def _host_of(self, job: Job) -> Host:
        """The host for a job that is done in this process: lines begin with the tenant."""
        name, host = job.tenant.name, self.host
        if not name:
            return replace(host, token=self.tokens.get(job.tenant.url, host.token))
        return replace(
            host,
            say=lambda line: host.say(f"{name}: {line}"),
            warn=lambda line: host.warn(line if line.startswith(f"{name}: ") else f"{name}: {line}"),
            token=self.tokens.get(job.tenant.url),
        )

    def _end(self) -> None:
        """Begin nothing more, and wait for what is under way."""
        self._stop.set()
        wait([future for future in self._waiting if not future.cancel()])
        for executor in self._own:
            executor.shutdown()

    def _account(self) -> InterruptedRunError:
        done, under_way, left = {}, {}, []
        for job in self.jobs:
            name, ended = job.tenant.name or job.tenant.url, self._ended[job.tenant.url]
            if ended == len(job.tasks):
                done[name] = f"{ended} of {ended}"
            elif ended:
                under_way[name] = f"{ended} of {len(job.tasks)} are done"
            else:
                left.append(name)
        return InterruptedRunError.among(done, under_way, left)


_STOPPED = f"{_TRIES} workers were stopped over it; publish it again"


def is_here(executor: Executor) -> bool:
    """Whether its work is done in this process."""
    return isinstance(executor, ThreadPoolExecutor)


def _died(problem: Exception) -> str:
    """What to say of a job that no worker could do; of the error itself, only what says that code is missing."""
    said = f": {problem}" if isinstance(problem, ImportError) else ""
    return (
        f"{_TRIES} workers have failed over it ({type(problem).__name__}{said}). Look at their logs, and whether "
        f"KandjiUploader {__version__} is installed there; publish it again"
    )
