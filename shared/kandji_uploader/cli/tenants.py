"""The flag `--tenant`: what is about one tenant at a time is done at each that is named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from kandji_uploader.cli import documents
from kandji_uploader.cli.console import Console
from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError
from kandji_uploader.publish.request import Host
from kandji_uploader.settings import config_folder
from kandji_uploader.settings.tenants import read_tenants

Found = TypeVar("Found")


def hosts(words: Sequence[str] | None, host: Host) -> tuple[Host, ...]:
    """The host for each tenant that is named; where none is, the host as it is.

    Raises:
        SettingsError: there is no such tenant.
    """
    if words is None:
        return (host,)
    known = read_tenants(config_folder(host.environ))
    return tuple(replace(host, tenant=tenant) for tenant in known.chosen(words, "command line"))


def each(
    words: Sequence[str] | None, host: Host, console: Console, do: Callable[[Host], Iterable[Found]]
) -> tuple[list[Found], list[documents.Failure]]:
    """What came of it at each tenant, and which failed as a whole, which does not keep the others from theirs.

    Raises:
        KandjiUploaderError: where no tenant is named, as `do`.
        InterruptedRunError: as `do`.
    """
    found: list[Found] = []
    failed: list[documents.Failure] = []
    for there in hosts(words, host):
        try:
            found += do(there)
        except InterruptedRunError:
            raise
        except KandjiUploaderError as problem:
            if there.tenant is None:
                raise
            console.fail(f"{there.tenant.name}: {problem}")
            failed.append(documents.failure(problem.code, str(problem), tenant=there.tenant.name))
    return found, failed
