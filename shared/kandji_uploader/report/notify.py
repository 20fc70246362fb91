"""A message to Microsoft Teams, e-mail, Mattermost, a webhook or whatever else the package `apprise` has words for."""

from __future__ import annotations

import logging
import re

from kandji_uploader._util.dependencies import missing_for_notify, pip_line
from kandji_uploader.errors import NetworkError
from kandji_uploader.http.session import hidden_paths
from kandji_uploader.models import Action
from kandji_uploader.report.message import Markup, Message
from kandji_uploader.report.text import DONE

# What means something in Markdown, of which names and errors hold anything.
_MARKDOWN = re.compile(r"([\\`*_\[\]<>&])")


def post(url: str, message: Message) -> None:
    """Send a message.

    Raises:
        NetworkError: it was not taken, or nobody here knows how to send it; the text does not hold the address.
    """
    server = _server(url)
    try:
        # Asked directly: through the list of all, each is told by a thread, of which none begins once Python ends.
        with hidden_paths():
            taken = server.notify(title=message.head, body=_markdown(message), body_format="markdown")
    except Exception as error:  # noqa: BLE001 - its text is not ours, and may hold the address
        raise NetworkError(f"it was not sent ({type(error).__name__})") from None
    if not taken:
        raise NetworkError("it was not taken. Check the address, and whether the service is reached from here")


def prepare() -> None:
    """Import what cannot be imported any more once Python ends, which is when a digest is sent."""
    import concurrent.futures.thread  # noqa: F401


def check(url: str) -> None:
    """Look whether there is a service for an address; nothing is sent. Raises NetworkError as `post`."""
    _server(url)


def _server(url: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - apprise's own
    packages = missing_for_notify()
    if packages:
        raise NetworkError(f"it needs {' and '.join(packages)}; install with: {pip_line(packages, 'notify.txt')}")
    import apprise

    logger = logging.getLogger("apprise")  # it says whom it tells, with the address
    logger.propagate = False
    logger.setLevel(logging.CRITICAL + 1)
    plain = apprise.AppriseAsset(app_id="KandjiUploader", app_desc="KandjiUploader", image_url_mask="")
    try:
        server = apprise.Apprise.instantiate(url, asset=plain)
    except Exception:  # noqa: BLE001 - as above
        server = None
    if server is None:
        raise NetworkError(
            "it is no address that apprise knows (not shown); https://appriseit.com/services/ has those of each service"
        )
    return server


def _markdown(message: Message) -> str:
    return "\n\n".join(_MARKUP.paragraphs(message))


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


_MARKUP = Markup(
    _escaped,
    "[{name}]({link})",
    "  \n",
    lambda action: f"**{action if action == 'pending' else DONE[Action(action)]}**",
)
