"""One way to speak HTTP, for the API, the cask API and its downloads, and Slack.

One session, one retry and wait policy, one way to certificates and proxies, one limit for the size and the time of an
answer. `requests` and `urllib3` are known here only, and are loaded when the first session is opened.
"""

BLOCK = 1 << 19
"""Bytes read and sent at a time: large enough for the network, small enough for a processor's cache."""
