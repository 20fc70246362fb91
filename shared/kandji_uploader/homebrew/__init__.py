"""Homebrew casks without Homebrew: what the public cask API says of one, and the installer it names.

    cask = homebrew.find("firefox")             # one small request; `cask.sha256` is known before any download
    path = homebrew.fetch(cask, cache_folder)   # resumed, checked against `cask.sha256`, kept in a cache keyed by it

`find_with_brew` and `fetch_with_brew` do the same through an installed `brew`, which also knows third-party taps.
"""

from kandji_uploader.homebrew.brew import fetch_with_brew, find_with_brew
from kandji_uploader.homebrew.cache import cached, prune
from kandji_uploader.homebrew.cask import Cask
from kandji_uploader.homebrew.catalogue import find
from kandji_uploader.homebrew.download import fetch
from kandji_uploader.http.tries import Policy

__all__ = ["Cask", "Policy", "cached", "fetch", "fetch_with_brew", "find", "find_with_brew", "prune"]
