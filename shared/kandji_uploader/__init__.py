"""KandjiUploader: software from AutoPkg, a file or a Homebrew cask into Kandji (Iru) Custom Apps.

    from kandji_uploader import process_brew, process_pkg

Importing this package imports nothing heavy, touches no file and configures no logging: what `api` offers is imported
when it is first named, and messages go to the logger `kandji_uploader`, which has no handler but an empty one.
"""

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kandji_uploader.api import Action as Action
    from kandji_uploader.api import Batch as Batch
    from kandji_uploader.api import Host as Host
    from kandji_uploader.api import InterruptedRunError as InterruptedRunError
    from kandji_uploader.api import Item as Item
    from kandji_uploader.api import KandjiUploaderError as KandjiUploaderError
    from kandji_uploader.api import Progress as Progress
    from kandji_uploader.api import Published as Published
    from kandji_uploader.api import Result as Result
    from kandji_uploader.api import Tenant as Tenant
    from kandji_uploader.api import approve as approve
    from kandji_uploader.api import freeze as freeze
    from kandji_uploader.api import process_brew as process_brew
    from kandji_uploader.api import process_pkg as process_pkg
    from kandji_uploader.api import promote as promote
    from kandji_uploader.api import resume as resume
    from kandji_uploader.api import rollback as rollback
    from kandji_uploader.api import thaw as thaw
    from kandji_uploader.api import watch as watch
else:

    def __getattr__(name: str) -> Any:
        import importlib.util

        # A folder of this package comes before a name of the API: it is `api.publish`, `api.status`.
        if not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}") is None:
            api = importlib.import_module(f"{__name__}.api")
            if name in api.__all__:
                return getattr(api, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        import importlib

        return sorted({*globals(), *importlib.import_module(f"{__name__}.api").__all__} - {"publish", "status"})


__version__ = "1.0.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())
