"""Many recipes in one process, as in an AutoPkg run: prints the processor time (s) of each, as JSON.

Run as a module with the folder of the installers and how many of them: `FOLDER COUNT`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def run(folder: Path, count: int) -> list[tuple[float, bool]]:
    """Publish `App N-1.0.zip` for N below `count`; processor time (s) and whether something changed, for each."""
    from kandji_uploader.flows import publish as flow
    from kandji_uploader.publish.request import Request
    from kandji_uploader.publish.targets import RecipeFacts

    told = []
    for number in range(count):
        name = f"App {number}"
        keys = {"custom_app.prod_name": name, "enforcement_type": "install_once"}
        began = time.process_time()
        result = flow.run(
            Request(
                folder / f"{name}-1.0.zip", keys=keys, keys_from="recipe", given=RecipeFacts(name=name, version="1.0")
            )
        )
        if result.failed:
            raise SystemExit(str(result))
        told.append((time.process_time() - began, result.changed))
    return told


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), int(sys.argv[2]))))
