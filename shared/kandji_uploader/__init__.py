"""KandjiUploader: software from AutoPkg, a file or a Homebrew cask into Kandji (Iru) Custom Apps.

Importing this package imports nothing heavy, touches no file and configures no logging.
"""

__version__ = "1.0.0"
