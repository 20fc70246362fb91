#!/usr/local/autopkg/python
"""The AutoPkg processor: environment in, one call of the bundled library, environment out.

AutoPkg executes this file again for every step of every recipe, with nothing but its own packages to count on; so
nothing beyond the standard library is imported before `main`, and the library, which stays loaded for the whole run,
keeps what must outlive a recipe.
"""

import sys
from pathlib import Path

from autopkglib import Processor, ProcessorError  # pylint: disable=import-error

__all__ = ["KandjiUploader"]

_MEGABYTE = 1_000_000
_LIBRARY = str(Path(__file__).resolve().parent / "shared")


class KandjiUploader(Processor):
    """Publishes the installer that a recipe has just produced to Kandji (Iru) Custom Apps.

    The API token is never an input: it comes from the environment variable KANDJI_TOKEN or from the keychain.
    Every input can be given in a recipe's or an override's Input, as an Argument of the step, or with -k;
    custom_app and enforcement_delays also as flat keys (-k custom_app.prod_name=Firefox).
    """

    description = __doc__
    input_variables = {
        "pkg_path": {
            "required": False,
            "description": "Path of the installer (.pkg, .dmg or .zip). Without it pathname, then dmg_path is used.",
        },
        "pathname": {"required": False, "description": "Path of the downloaded file, used where pkg_path is not set."},
        "dmg_path": {"required": False, "description": "Path of a disk image, used where the other two are not set."},
        "version": {"required": False, "description": "Version that the recipe has found."},
        "bundleid": {"required": False, "description": "Bundle id of the app that is meant."},
        "app_name": {"required": False, "description": "Bundle name of the app that is meant, such as Firefox.app."},
        "custom_app": {
            "required": False,
            "description": (
                "Dict: prod_name, test_name, ss_category, test_category, and preinstall_script, postinstall_script, "
                "restart, active, recommended, blueprints, enforcement_deadline, each also as prod_ or test_...; "
                "promotion, pin_version, blocking_applications, minimum_os_version. "
                "Also as flat keys: custom_app.prod_name and so on."
            ),
        },
        "enforcement_type": {
            "required": False,
            "description": "How a new app is enforced: audit_enforce, update_only, self_service or install_once.",
        },
        "enforcement_delays": {
            "required": False,
            "description": "Dict: prod and test, the days until the audit script enforces a new version.",
        },
        "create_new": {
            "required": False,
            "description": "Always create a new app, even where one of that name exists.",
        },
        "dry_run": {"required": False, "description": "Show what would be done and change nothing."},
        "unzip_location": {"required": False, "description": "Where a .zip is unpacked on the Mac."},
        "allow_downgrade": {"required": False, "description": "Publish a version lower than the one in Kandji."},
        "urgent": {
            "required": False,
            "description": (
                "Why versions go to the test and the prod app at once, without a soak; take it out again afterwards."
            ),
        },
        "replace_audit_script": {
            "required": False,
            "description": "Replace an audit script that neither this tool nor KAPPA or kpkg wrote.",
        },
        "tenant": {
            "required": False,
            "description": "Which tenants of tenants.yaml are published to: names, @GROUP, or all.",
        },
    }
    output_variables = {
        "kandji_uploader_summary_result": {"description": "What was published to the production Custom App."},
        "kandji_uploader_test_summary_result": {"description": "What was published to the Custom App for testing."},
        "kandji_custom_apps": {"description": "One dict per Custom App, unchanged ones too."},
        "kandji_uploader_changed": {"description": "Whether anything was changed in Kandji."},
    }

    for_kappa = False
    """Whether the recipe was written for KAPPA; see examples/kappa."""

    def main(self) -> None:
        """Publish; every failure that is expected to happen becomes a ProcessorError."""
        if _LIBRARY not in sys.path:
            sys.path.insert(0, _LIBRARY)
        from kandji_uploader._util import dependencies as packages

        absent = packages.missing()
        if absent:
            raise ProcessorError(
                f"this Python lacks {', '.join(absent)} (an AutoPkg upgrade removes what was added). "
                f"Install with: {packages.pip_line(absent)}"
            )
        from kandji_uploader import autopkg
        from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError
        from kandji_uploader.publish.request import Host
        from kandji_uploader.report import text as report

        host = Host(say=self.output, warn=self._warn, progress=_Tenths(self.output))
        try:
            result = autopkg.publish(self.env, host, for_kappa=self.for_kappa)
        except InterruptedRunError as stopped:
            self.output(str(stopped), 0)
            raise KeyboardInterrupt from None
        except KandjiUploaderError as problem:
            raise ProcessorError(str(problem)) from None
        for line in report.lines(result):
            self.output(line, 0 if result.dry_run else 1)
        if result.failed:
            raise ProcessorError(report.failure(result))

    def _warn(self, text: str) -> None:
        self.output(f"WARNING: {text}", 0)


class _Tenths:
    """Says how far an upload is, each time another tenth is done."""

    def __init__(self, say) -> None:  # noqa: ANN001 - AutoPkg's own `output`
        self._say = say
        self._told = 0

    def __call__(self, sent: int, total: int) -> None:
        tenth = sent * 10 // total if total else 10
        if sent and tenth < self._told:
            self._told = 0
        if tenth > self._told:
            self._told = tenth
            size = f"{total / 1e6:.1f} MB" if total >= _MEGABYTE else f"{total / 1e3:.1f} kB"
            self._say(f"uploaded {tenth * 10} % of {size}")


if __name__ == "__main__":
    PROCESSOR = KandjiUploader()
    PROCESSOR.execute_shell()
