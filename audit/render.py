#!/usr/bin/env python3
"""Render the audit script beside this file by hand, from a checkout: `audit/render.py < values.json`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "shared"))

from kandji_uploader.cli import main

if __name__ == "__main__":
    sys.exit(main(["audit-script", *sys.argv[1:]]))
