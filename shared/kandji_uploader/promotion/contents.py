"""What goes to the prod app with a release: the very scripts and settings that soaked with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kandji_uploader.models import CustomApp, InstallType, Target
from kandji_uploader.publish import plan, releases
from kandji_uploader.publish.releases import Contents, Release


@dataclass(frozen=True)
class MovedContents:
    """What goes to the prod app with a release: the very scripts and settings that soaked with it.

    A release is noted with its digest, not with its scripts. Their texts are in the settings of this run or in one of
    the two apps: the texts that give the release's digest are the right ones.

    Attributes:
        test: the test app as the settings want it.
        prod: the prod app as the settings want it.
        source: the test app as it is.
        app: the prod app as it is; None where it is to be created.
        kind: of the installer in the test app.
    """

    test: Target
    prod: Target
    source: CustomApp
    app: CustomApp | None
    kind: InstallType

    def target(self, release: Release, *, live: bool = False) -> Target | None:
        """The prod app with the contents of a release; None where they are not known.

        Of a release that an older version noted without a digest, the installer moves alone, unless it is `live` and
        the test app has what the settings give.
        """
        if not release.digest:
            if live and self._in_line(self.source, Contents.of(self.test, self.kind)):
                return self.prod
            return replace(self.prod, preinstall_script=None, postinstall_script=None, restart=None)
        for test, prod in self._known(release.given):
            if releases.digest_of(release.installer, test, prod) == release.digest:
                return replace(self.prod, **vars(prod))
        return None

    def known_in_prod(self, live: Release) -> str:
        """The digest of a prod app without a noted one: that of `live`, if the app has all that the settings give."""
        if self.app is None or not live.digest:
            return ""
        return live.digest if self._in_line(self.app, Contents.of(self.prod, self.kind)) else "another"

    def _known(self, given: str) -> list[tuple[Contents, Contents]]:
        apps = [plan.live_contents(app, given) for app in (self.source, self.app) if app is not None]
        settings = Contents.of(self.test, self.kind), Contents.of(self.prod, self.kind)
        return [settings, *((one, one) for one in apps), (apps[0], apps[-1])]

    @staticmethod
    def _in_line(app: CustomApp, wanted: Contents) -> bool:
        return plan.live_contents(app, wanted.given).same(wanted)
