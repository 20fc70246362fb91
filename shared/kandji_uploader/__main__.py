"""`python -m kandji_uploader` is the command line."""

import sys

from kandji_uploader.cli import main

sys.exit(main())
