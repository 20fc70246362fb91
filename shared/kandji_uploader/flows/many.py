"""Many installers to many tenants: who gets what, said as jobs, and what became of all of them."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace

from kandji_uploader._util.secret import Secret
from kandji_uploader.errors import KandjiUploaderError, Problem, SameAppError, SettingsError, WorkerError
from kandji_uploader.flows import casks
from kandji_uploader.flows.announce import announce
from kandji_uploader.flows.tenants import failed
from kandji_uploader.flows.workers import Course, Job, Task, is_here, title
from kandji_uploader.models import Outcome, RunResult, Tenant
from kandji_uploader.publish.claims import Item, doubles, file_item
from kandji_uploader.publish.request import Host, Request
from kandji_uploader.publish.resolve import ladder_of
from kandji_uploader.publish.sources import OnDisk
from kandji_uploader.publish.targets import identifiers
from kandji_uploader.settings import Ladder, config_folder, credentials, schema
from kandji_uploader.settings.sources import Complaints
from kandji_uploader.settings.tenants import one_url_each, read_tenants, rungs_of

_CALL = "the call"
_NAMES = ("custom_app.prod_name", "custom_app.test_name")


def course(
    tasks: Sequence[Task], tenants: Iterable[Tenant | str] | str, executor: Executor | None, host: Host, workers: int
) -> Generator[RunResult, None, None]:
    """What becomes of each task at each tenant, as they end.

    Args:
        tasks: installers and casks.
        tenants: values, or words for those of tenants.yaml; none for what is said of each task.
        executor: who does it; None for threads of this process.
        host: who is told.
        workers: how many threads.

    Raises:
        SettingsError, WorkerError: before anything is sent; see `api.publish`.
    """
    named = _named([tenants] if isinstance(tenants, str) else list(tenants), host)
    here = executor is None or is_here(executor)
    if executor is not None:
        _check(executor, named, here=here)
    tokens = {there.url: credentials.given_token(there.token, _CALL) for there in named if there.token is not None}
    why = doubles({_item(task): _names(task) for task in tasks})
    jobs: dict[str, Job] = {}
    shares: dict[str, list[Task]] = {}
    for task in tasks:
        ladder = _ladder(task, replace(host, tenant=named[0]) if named else host)
        said = () if named else ladder.tenants(_identifiers(ladder, task))
        share = task if here else _portable(task, ladder.at(said[0]) if said else ladder)
        for tenant in named or said or (_of_the_settings(ladder),):
            jobs[tenant.url] = Job(replace(tenant, token=None), ())
            shares.setdefault(tenant.url, []).append(share)
    whole = [replace(job, tasks=tuple(shares[url])) for url, job in jobs.items()]
    return _run(whole, why, executor or workers, replace(host, batch=None), tokens)


def _run(
    jobs: Sequence[Job], why: Mapping[str, str], executor: Executor | int, host: Host, tokens: Mapping[str, Secret]
) -> Generator[RunResult, None, None]:
    """Do the jobs but for what is refused, and tell Slack once of all that was changed or has failed."""
    told: list[Outcome] = []
    wanted = []
    with ExitStack() as ending:
        ending.callback(_announce, jobs, told, host)
        for job in jobs:
            wanted.append(replace(job, tasks=tuple(task for task in job.tasks if _item(task).name not in why)))
            for task in job.tasks:
                if _item(task).name in why:
                    result = failed(job.tenant, title(task), why[_item(task).name], SameAppError.code)
                    told += result.outcomes
                    yield result
        pool = ending.enter_context(ThreadPoolExecutor(executor)) if isinstance(executor, int) else executor
        under_way = Course([job for job in wanted if job.tasks], pool, host, tokens)
        for result in ending.enter_context(closing(under_way.run())):
            told += [outcome for outcome in result.outcomes if outcome.action.writes or outcome.action.bad]
            yield result


def _announce(jobs: Sequence[Job], told: Sequence[Outcome], host: Host) -> None:
    if jobs and told:
        settings = _ladder(jobs[0].tasks[0], replace(host, tenant=jobs[0].tenant)).settle()
        many = f"{max(len(job.tasks) for job in jobs)} installers, {len(jobs)} tenants"
        announce(RunResult(many, tuple(told), settings.dry_run), settings, host)


def _named(tenants: Sequence[Tenant | str], host: Host) -> tuple[Tenant, ...]:
    """The tenants that the caller names, each once, with their addresses as they are kept.

    Raises:
        SettingsError: one is unknown or bad, or two could be taken for one another.
    """
    words = [tenant for tenant in tenants if isinstance(tenant, str)]
    folder = config_folder(host.environ)
    known = [tenant for tenant in tenants if isinstance(tenant, Tenant)]
    known += read_tenants(folder).chosen(words, _CALL) if words else ()
    complaints = Complaints()
    checked = [(tenant, rungs_of(tenant, _CALL, folder, complaints).every) for tenant in known]
    one_url_each([(tenant.name, rung) for tenant, rung in checked], _CALL, complaints)
    for tenant in known:
        if len(known) > 1 and tenant.token is None and tenant.token_name is None:
            complaints.add(_CALL, f"{tenant.name}: token_name", "is missing; each of several tenants has its own token")
    if complaints.problems:
        raise SettingsError(complaints.problems)
    urls = ((tenant, str(rung[schema.API_URL.path].value)) for tenant, rung in checked)
    return tuple({url: replace(tenant, url=url) for tenant, url in urls}.values())


def _of_the_settings(ladder: Ladder) -> Tenant:
    settings = ladder.settle()
    return Tenant("", settings.api_url, settings.token_name)


def _check(executor: Executor, named: Sequence[Tenant], *, here: bool) -> None:
    """Raise an error where an executor takes no work, or would have to take a token with it."""
    problems = [
        Problem(_CALL, tenant.name, None, "has its token with it, which never leaves this process; give a token_name")
        for tenant in named
        if tenant.token is not None and not here
    ]
    if problems:
        raise SettingsError(problems)
    try:
        executor.submit(int).cancel()
    except (RuntimeError, BrokenExecutor):
        raise WorkerError("the executor is shut down or broken, so nothing was begun; make a new one") from None


# What a task is, for the one who gives it out


def _request(task: Task) -> Request:
    return casks.as_request(task) if isinstance(task, casks.Order) else task


def _ladder(task: Task, host: Host) -> Ladder:
    return ladder_of(_request(task), host)


def _item(task: Task) -> Item:
    request = _request(task)
    return request.item or file_item(request.path)


def _names(task: Task) -> tuple[str, ...]:
    """The Custom Apps that the caller names himself; what only maps and installers tell, the worker finds out."""
    return tuple(str(task.keys[name]) for name in _NAMES if task.keys.get(name))


def _identifiers(ladder: Ladder, task: Task) -> tuple[str, ...]:
    """The ids that the package map knows the installer by, as far as it is on this machine."""
    if not ladder.use_package_map or isinstance(task, casks.Order):
        return ()
    try:
        return identifiers(task.given, OnDisk(task.path, task.given, lambda _: None).facts())
    except KandjiUploaderError:  # the worker tells it
        return ()


def _portable(task: Task, ladder: Ladder) -> Task:
    """A task for another machine, with what maps and config file say of it on this one."""
    known = _identifiers(ladder, task)
    keys, defaults = ladder.told(known)
    keys.pop("tenant", None)
    return replace(task, keys={**keys, "dry_run": ladder.settle(known).dry_run}, defaults=defaults)
