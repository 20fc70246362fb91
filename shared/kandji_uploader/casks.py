"""From a Homebrew cask to Custom Apps, over the same pipeline; nothing is downloaded that Kandji already holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kandji_uploader import audit, homebrew, pipeline
from kandji_uploader.errors import InstallerError
from kandji_uploader.models import AppFacts, CustomApp, InstallType, RunResult
from kandji_uploader.pipeline import Host, Request
from kandji_uploader.state import DigestCache
from kandji_uploader.targets import Given


@dataclass
class InKandji:
    """An installer that a Custom App of the tenant holds already; what it is, that app's audit script tells.

    Args:
        app: the Custom App.
        file_name: what the installer is called.
        sha256: its hex digest, as the cask says it and Kandji has it.
    """

    app: CustomApp
    file_name: str
    sha256: str
    _asked: bool = field(default=False)

    @property
    def path(self) -> Path:
        """What the file would be called; there is none on this machine."""
        return Path(self.file_name)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.app.file_size or 0

    def kind(self) -> InstallType:
        """Package, image or zip."""
        return InstallType(self.app.install_type)

    def facts(self) -> AppFacts:
        """What the audit script of the app looks for.

        Raises:
            InstallerError: it has none that we can read; the installer itself must be looked at.
        """
        self._asked = True
        return self._read()

    def facts_if_read(self) -> AppFacts | None:
        """What the installer is, if anything had to ask."""
        return self._read() if self._asked else None

    def digest(self, cache: DigestCache) -> str:  # noqa: ARG002 - a file would be looked up there
        """Its sha256."""
        return self.sha256

    def _read(self) -> AppFacts:
        reading = audit.read(self.app.audit_script)
        if reading.writer is None or reading.version is None:
            raise InstallerError(self.file_name, "Kandji does not tell what it is")
        has_app = bool(reading.app_name or reading.bundle_id)
        return AppFacts(
            type=self.kind(),
            size=self.size,
            app_name=reading.app_name,
            bundle_id=reading.bundle_id,
            version=reading.version if has_app else None,
            version_key=reading.version_key if has_app else None,
            package_id=reading.pkg_id,
            package_version=None if has_app else reading.version,
        )


def run(
    token: str,
    keys: Mapping[str, object],
    host: Host,
    *,
    use_brew: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> RunResult:
    """Publish what a cask downloads.

    Args:
        token: the cask's name.
        keys: flags, as for `Request.keys`.
        host: who is told.
        use_brew: download with `brew`.
        progress: told the bytes downloaded and the bytes in all.

    Raises:
        KandjiUploaderError: nothing was changed in the tenant.
        InterruptedRunError: SIGINT or SIGTERM.
    """
    asked = Request(Path(token), keys=keys, keys_from="command line", caller="command line")
    held = pipeline.settle_early(asked, host)
    cask = homebrew.find(token, arch=held.arch, environ=host.environ)
    request = Request(
        Path(cask.file_name),
        keys=keys,
        keys_from="command line",
        caller="command line",
        given=Given(name=cask.name),
    )
    if cask.sha256 and not held.create_new:
        done = _without_download(request, cask, pipeline.open_tenant(held, host).apps(), host)
        if done is not None:
            return done
    host.say(f"downloading {cask.token} {cask.version}")
    fetch = homebrew.fetch_with_brew if use_brew else homebrew.fetch
    path = fetch(cask, held.config_folder / "downloads", progress)
    return pipeline.run(_at(request, path), host)


def _without_download(
    request: Request, cask: homebrew.Cask, apps: tuple[CustomApp, ...], host: Host
) -> RunResult | None:
    """Run the pipeline with what Kandji holds; None where the file itself is needed."""
    for app in apps:
        if app.sha256 == cask.sha256 and app.file_key:
            try:
                return pipeline.run(request, host, InKandji(app, cask.file_name, str(cask.sha256)))
            except InstallerError:
                return None
    return None


def _at(request: Request, path: Path) -> Request:
    from dataclasses import replace

    return replace(request, path=path)
