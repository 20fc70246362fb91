"""One run, several tenants: each gets what is published, and none keeps the others from theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from kandji_uploader.errors import (
    ApiError,
    CredentialError,
    InterruptedRunError,
    KandjiUploaderError,
    NetworkError,
)
from kandji_uploader.kandji import tenant as views
from kandji_uploader.models import Action, Outcome, RunResult, Stage, Tenant
from kandji_uploader.publish.queue import Failures
from kandji_uploader.publish.request import Host

_OF_THE_PROCESS = Failures()
"""For AutoPkg, which runs all recipes of a run in one process, and in no batch of ours."""


def at_each(tenants: Sequence[Tenant], publish: Callable[[Host], RunResult], source: str, host: Host) -> RunResult:
    """Publish at one tenant after the other, and put what became of it into one result.

    What is expected to go wrong at a tenant is a failed outcome of that tenant. One that fails three times in a row is
    left alone for the rest of the batch, or in an AutoPkg run for the rest of the process.

    Args:
        tenants: the tenants.
        publish: publishes at the tenant of the host that it is given.
        source: the installer or the cask, for the report.
        host: who is told.

    Raises:
        InterruptedRunError: SIGINT or SIGTERM; the text says which tenants are done, were under way, or not begun.
    """
    failures = host.batch.failures if host.batch else _OF_THE_PROCESS
    done: dict[str, RunResult] = {}
    for tenant in tenants:
        try:
            host.say(f"tenant {tenant.name}")
            done[tenant.name] = at_one(tenant, publish, source, failures, host)
            views.rest(tenant.url)
        except (KeyboardInterrupt, InterruptedRunError) as stopped:
            if len(tenants) == 1:
                raise
            left = [other.name for other in tenants if other.name not in done]
            said = str(stopped) or "interrupted while nothing was being changed"
            ended = {name: "failed" if result.failed else "done" for name, result in done.items()}
            raise InterruptedRunError.among(ended, dict.fromkeys(left[:1], said), left[1:]) from None
    return _merged(source, tuple(done.values()))


def at_one(
    tenant: Tenant, publish: Callable[[Host], RunResult], source: str, failures: Failures, host: Host
) -> RunResult:
    """Publish at one tenant. An expected error there becomes a failed outcome.

    Args:
        tenant: the tenant.
        publish: as for `at_each`.
        source: likewise.
        failures: which tenants have failed before.
        host: who is told.

    Raises:
        InterruptedRunError: as `publish`.
    """
    if reason := failures.left_alone(tenant.url):
        host.warn(f"{tenant.name}: {reason}")
        return failed(tenant, source, reason, "left_alone")
    try:
        result = publish(replace(host, tenant=tenant, announces=False))
    except InterruptedRunError:
        raise
    except KandjiUploaderError as problem:
        if isinstance(problem, ApiError | NetworkError | CredentialError):
            failures.note(tenant.url, str(problem))  # a bad installer says nothing of the tenant
        host.warn(f"{tenant.name}: {problem}")
        return failed(tenant, source, str(problem), problem.code)
    errors = [outcome.error for outcome in result.outcomes if outcome.action is Action.FAILED]
    failures.note(tenant.url, errors[0] if errors and len(errors) == len(result.outcomes) else "")
    return result


def failed(tenant: Tenant, source: str, error: str, code: str) -> RunResult:
    """The result of a run that failed at a tenant as a whole."""
    outcome = Outcome(Stage.PROD, source, Action.FAILED, error=error, tenant=tenant.name, code=code)
    return RunResult(source, (outcome,))


def _merged(source: str, results: Sequence[RunResult]) -> RunResult:
    """What became of all tenants, as one result."""
    known = next((result for result in results if result.app_name), results[0])
    return replace(
        known,
        source=source,
        outcomes=tuple(outcome for result in results for outcome in result.outcomes),
        facts=next((result.facts for result in results if result.facts), None),
        sha256=next((result.sha256 for result in results if result.sha256), ""),
        news=any(result.news for result in results),
    )
