"""KandjiUploader: software from AutoPkg, a file or a Homebrew cask into Kandji (Iru) Custom Apps.

    from kandji_uploader import process_brew, process_pkg

Importing this package imports nothing heavy, touches no file and configures no logging: what `api` offers is imported
when it is first named, and messages go to the logger `kandji_uploader`, which has no handler but an empty one.
"""

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kandji_uploader.api import Batch as Batch
    from kandji_uploader.api import InterruptedRunError as InterruptedRunError
    from kandji_uploader.api import KandjiUploaderError as KandjiUploaderError
    from kandji_uploader.api import Published as Published
    from kandji_uploader.api import Result as Result
    from kandji_uploader.api import Tenant as Tenant
    from kandji_uploader.api import process_brew as process_brew
    from kandji_uploader.api import process_pkg as process_pkg
    from kandji_uploader.api import promote as promote
    from kandji_uploader.api import rollback as rollback
else:
    # `publish` and `status` are missing on purpose: folders of this package have these names. It is `api.publish`.
    _OF_THE_API = frozenset(
        {
            "Batch",
            "InterruptedRunError",
            "KandjiUploaderError",
            "Published",
            "Result",
            "Tenant",
            "process_brew",
            "process_pkg",
            "promote",
            "rollback",
        }
    )

    def __getattr__(name: str) -> Any:
        if name not in _OF_THE_API:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        return getattr(importlib.import_module(f"{__name__}.api"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *_OF_THE_API})


__version__ = "1.0.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())
