"""Settings: one precedence ladder, every value with its origin, all problems at once.

    ladder = load({"custom_app.prod_name": "Firefox"}, given_origin="command line", caller="command line")
    settings = ladder.settle(["org.mozilla.firefox"])

`docs/settings.md` lists all keys for users; `schema.py` is where they are defined. `showing.py` and `writing.py` are
for the commands that show settings and write the config file; a run needs neither.
"""

from kandji_uploader._util.places import config_folder
from kandji_uploader.settings.hosts import console_link
from kandji_uploader.settings.ladder import Ladder
from kandji_uploader.settings.loading import Early, early, load, new_app_name
from kandji_uploader.settings.reading import find_file, read_mapping_file, read_yaml

__all__ = [
    "Early",
    "Ladder",
    "config_folder",
    "console_link",
    "early",
    "find_file",
    "load",
    "new_app_name",
    "read_mapping_file",
    "read_yaml",
]
