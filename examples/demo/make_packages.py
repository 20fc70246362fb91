"""Make the demo's two installers again: `python examples/demo/make_packages.py`, in a checkout."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.support.installers import app_pkg  # noqa: E402 - the checkout must be on the path first

for version in ("1.0", "1.1"):
    script = f'#!/bin/sh\necho "Hello, Kandji {version}"\n'.encode()
    path = HERE / f"HelloKandji-{version}.pkg"
    print(app_pkg(path, name="HelloKandji", bundle_id="com.example.hellokandji", version=version, content=script))
