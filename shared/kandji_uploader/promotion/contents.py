"""What goes to the prod app with a release: the very scripts and settings that soaked with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kandji_uploader.models import CustomApp, Settings, Target
from kandji_uploader.publish import plan, releases
from kandji_uploader.publish.plan import PlanInput
from kandji_uploader.publish.releases import Contents, Release


@dataclass(frozen=True)
class MovedContents:
    """What goes to the prod app with a release: the very scripts and settings that soaked with it.

    A release is noted with its digest, and not with its scripts. Their texts are in the settings of this run, or in one
    of the two apps; those whose digest is that of the release are it.

    Attributes:
        test: the test app that is meant.
        prod: the prod app that is meant.
        source: the test app as it is.
        app: the prod app as it is; None where it is to be created.
        plan_input: whose settings hold; of its installer the type counts.
    """

    test: Target
    prod: Target
    source: CustomApp
    app: CustomApp | None
    plan_input: PlanInput

    def target(self, release: Release, *, live: bool = False) -> tuple[Target, Settings] | None:
        """The prod app with the contents of a release, and the settings for it; None where they are not known.

        Of a release that an older version noted without a digest, the installer moves alone, unless it is `live` and
        the test app has what the settings give.
        """
        if not release.digest:
            if live and self._in_line(self.source, plan.contents(self.test, self.plan_input)):
                return self.prod, self.plan_input.settings
            bare = replace(self.prod, preinstall_script=None, postinstall_script=None, restart=None)
            return bare, self.plan_input.settings
        for test, prod in self._known(release.given):
            if releases.digest_of(release.sha256, test, prod) == release.digest:
                return self._with(prod)
        return None

    def known_in_prod(self, live: Release) -> str:
        """The digest to take the prod app for that nobody noted one of: that of `live` if it has all that is given."""
        if self.app is None or not live.digest:
            return ""
        return live.digest if self._in_line(self.app, plan.contents(self.prod, self.plan_input)) else "another"

    def _known(self, given: str) -> list[tuple[Contents, Contents]]:
        apps = [plan.live_contents(app, given) for app in (self.source, self.app) if app is not None]
        settings = plan.contents(self.test, self.plan_input), plan.contents(self.prod, self.plan_input)
        return [settings, *((one, one) for one in apps), (apps[0], apps[-1])]

    def _with(self, contents: Contents) -> tuple[Target, Settings]:
        settings, folder = self.plan_input.settings, contents.unzip_location
        target = replace(
            self.prod,
            preinstall_script=contents.preinstall_script,
            postinstall_script=contents.postinstall_script,
            restart=contents.restart,
            blocking_applications=contents.blocking_applications,
            minimum_os_version=contents.minimum_os_version,
        )
        if folder is None:
            return target, replace(settings, unzip_location_given=False)
        return target, replace(settings, unzip_location=folder, unzip_location_given=True)

    @staticmethod
    def _in_line(app: CustomApp, wanted: Contents) -> bool:
        return plan.live_contents(app, wanted.given).same(wanted)
