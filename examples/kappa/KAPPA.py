#!/usr/local/autopkg/python
"""KandjiUploader's stand-in for io.kandji.kappa/KAPPA: what was written for KAPPA runs unedited.

`kandji-uploader setup --kappa` put it here, with the recipe beside it; to undo that, delete both. AutoPkg finds
KandjiUploader itself among its recipe repos, so that this file stays right when that is updated or moved.
"""

from autopkglib import Processor, ProcessorError, get_processor  # pylint: disable=import-error

__all__ = ["KAPPA"]


class KAPPA(Processor):
    """Publishes to Kandji (Iru) Custom Apps what a recipe has produced, with KAPPA's variables, by KandjiUploader."""

    description = __doc__
    input_variables = {
        "NAME": {"required": True, "description": "What the software is called, where no Custom App is named."},
        "pkg_path": {"required": False, "description": "Path of the package."},
        "app_name": {"required": False, "description": "Bundle name of the app that is meant."},
        "bundleid": {"required": False, "description": "Bundle id of the app that is meant."},
        "version": {"required": False, "description": "Version that the recipe has found."},
        "custom_app": {"required": False, "description": "Dict: prod_name, test_name, ss_category, test_category."},
        "enforcement_type": {"required": False, "description": "audit_enforce, self_service or install_once."},
        "enforcement_delays": {"required": False, "description": "Dict: prod and test, in days."},
        "create_new": {"required": False, "description": "Create a Custom App even where one of that name exists."},
        "dry_run": {"required": False, "description": "Tell what would be done and change nothing."},
    }
    output_variables = {
        "kandji_uploader_summary_result": {"description": "What was published to the production Custom App."},
        "kandji_uploader_test_summary_result": {"description": "What was published to the Custom App for testing."},
        "kandji_custom_apps": {"description": "One dict per Custom App, unchanged ones too."},
        "kandji_uploader_changed": {"description": "Whether anything was changed in Kandji."},
    }

    def main(self) -> None:
        """Let KandjiUploader do it."""
        recipe = {"RECIPE_PATH": self.env.get("RECIPE_PATH") or __file__}
        try:
            uploader = get_processor("com.github.kandjiuploader/KandjiUploader", recipe=recipe, env=self.env)
        except KeyError:
            raise ProcessorError(
                "KandjiUploader is not among AutoPkg's recipe repos, or not in RECIPE_SEARCH_DIRS: "
                "autopkg repo-add https://github.com/kandjiuploader/kandjiuploader"
            ) from None
        step = uploader(self.env)
        step.for_kappa = True
        step.main()


if __name__ == "__main__":
    PROCESSOR = KAPPA()
    PROCESSOR.execute_shell()
