"""Careful HTTP for public files: no credentials, https at every hop, tries within a budget, time-outs on silence."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import SplitResult, urljoin, urlsplit

from kandji_uploader import __version__
from kandji_uploader.errors import CaskError, NetworkError

if TYPE_CHECKING:
    import requests

T = TypeVar("T")

BLOCK = 256 * 1024
"""Bytes that are read at once, and so the memory that a download takes."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_REDIRECTS = (301, 302, 303, 307, 308)
_WORTH_ANOTHER_TRY = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Policy:
    """How patient a download is; all times in seconds.

    Attributes:
        connect_timeout: to open a connection.
        idle_timeout: without a byte.
        tries: how often it is tried at the most; a download goes on where it broke off.
        first_wait: before the second try; it doubles with each further one, with jitter.
        longest_wait: the most that is waited between two tries.
        retry_after_cap: the most that a server's Retry-After is honoured for.
        redirects: how many hops are followed.
    """

    connect_timeout: float = 15.0
    idle_timeout: float = 60.0
    tries: int = 5
    first_wait: float = 1.0
    longest_wait: float = 30.0
    retry_after_cap: float = 120.0
    redirects: int = 10


class PassingError(NetworkError):
    """A failure that may be gone at the next try; `wait` is what the server asked for, in seconds."""

    def __init__(self, text: str, wait: float = 0.0) -> None:
        self.wait = wait
        super().__init__(text)


def with_tries(policy: Policy, attempt: Callable[[], T]) -> T:
    """What `attempt` returns; called again after a passing error, within the budget.

    Raises:
        NetworkError: the last of them.
    """
    wait = policy.first_wait
    for _ in range(policy.tries - 1):
        try:
            return attempt()
        except PassingError as problem:
            asked = min(problem.wait, policy.retry_after_cap)
            time.sleep(max(asked, wait * random.uniform(0.5, 1.0)))  # noqa: S311 - jitter, not a secret
            wait = min(wait * 2, policy.longest_wait)
    return attempt()


@contextlib.contextmanager
def get(url: str, headers: Mapping[str, str], policy: Policy) -> Iterator[requests.Response]:
    """The answer to a GET, its body still to be read with `blocks`; redirects are followed.

    Headers that are the first host's business (cookies and the cask's own) stay with it.

    Raises:
        PassingError: not reached, or an answer that is worth another try.
        CaskError: an address that is not https, or too many redirects.
    """
    import requests

    with requests.Session() as session:
        session.trust_env = not _is_loopback(url)
        first = _checked_host(url)
        for _ in range(policy.redirects + 1):
            kept = headers if _checked_host(url) == first else _for_other_hosts(headers)
            response = _send(session, url, kept, policy)
            if response.status_code not in _REDIRECTS or not response.headers.get("Location"):
                break
            response.close()
            url = _joined(url, response.headers["Location"])
        else:
            raise CaskError(f"{_shown(url)}: more than {policy.redirects} redirects; the address leads in circles")
        with response:
            if response.status_code in _WORTH_ANOTHER_TRY:
                raise PassingError(
                    f"{_shown(url)} answered HTTP {response.status_code}; try again later", _retry_after(response)
                )
            yield response


def blocks(response: requests.Response) -> Iterator[bytes]:
    """The body as it comes in, at most `BLOCK` bytes at a time, not decoded.

    Raises:
        PassingError: the connection broke, fell silent, or ended early.
    """
    from urllib3.exceptions import HTTPError

    while True:
        try:
            block = response.raw.read1(BLOCK)
        except (HTTPError, OSError) as problem:
            why = f"the connection to {_shown(response.url)} broke in mid download ({type(problem).__name__})"
            raise PassingError(f"{why}; the next run goes on from there") from None
        if not block:
            return
        yield block


def get_json(url: str, policy: Policy) -> Any:
    """The JSON at an address; None for HTTP 404.

    Raises:
        NetworkError: not reached, or not JSON.
    """

    def attempt() -> Any:
        headers = {"User-Agent": f"KandjiUploader/{__version__}", "Accept": "application/json"}
        with get(url, headers, policy) as response:
            if response.status_code == 404:  # noqa: PLR2004
                return None
            if response.status_code != 200:  # noqa: PLR2004
                raise NetworkError(f"{_shown(url)} answered HTTP {response.status_code}; is HOMEBREW_API_DOMAIN right?")
            body = b"".join(blocks(response))
        return _as_json(body, url)

    return with_tries(policy, attempt)


def _as_json(body: bytes, url: str) -> Any:
    import json

    try:
        return json.loads(body)
    except ValueError:
        raise NetworkError(
            f"{_shown(url)} did not answer with JSON; is a proxy or a captive portal in between?"
        ) from None


def _send(session: requests.Session, url: str, headers: Mapping[str, str], policy: Policy) -> requests.Response:
    import requests

    # `identity`: the bytes must be those that the sha256 is of, and that a byte range counts.
    try:
        return session.get(
            url,
            headers={"Accept-Encoding": "identity", **headers},
            timeout=(policy.connect_timeout, policy.idle_timeout),
            stream=True,
            allow_redirects=False,
            auth=_anonymous,
        )
    except (requests.ConnectionError, requests.Timeout) as problem:
        raise PassingError(
            f"{_shown(url)} was not reached ({type(problem).__name__}); check the network, and HTTPS_PROXY where a "
            "proxy is needed"
        ) from None
    except (requests.RequestException, ValueError) as problem:  # ValueError: a redirect to what is no address
        raise CaskError(f"{_shown(url)} cannot be asked for ({type(problem).__name__})") from None


def _anonymous(request: Any) -> Any:
    """Keeps `requests` from looking for a password of the host in ~/.netrc."""
    return request


def _checked_host(url: str) -> str:
    """Host and port of an address that may be asked.

    Raises:
        CaskError: it is none, has a login in it, or is neither https nor loopback.
    """
    parts = _split(url)
    if not parts.hostname or parts.username or parts.password:
        raise CaskError(
            f"{_shown(url)} is no address that is downloaded from; it must be https://HOST/... without a login"
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(url)):
        raise CaskError(
            f"{_shown(url)} is not https; it is not downloaded from. Download the installer yourself, check it and "
            "publish the file"
        )
    return parts.netloc


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", url, "", "")


def _is_loopback(url: str) -> bool:
    return _split(url).hostname in _LOOPBACK


def _for_other_hosts(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in ("User-Agent", "Accept", "Range", "If-Range")}


def _retry_after(response: requests.Response) -> float:
    """Seconds; 0 where the server sent none, or a date (the doubling wait does for those)."""
    given = response.headers.get("Retry-After", "")
    return float(given) if given.isdigit() else 0.0


def _shown(url: str | None) -> str:
    """An address as error texts show it: without a login or a query, either of which may hold a secret."""
    parts = _split(url or "")
    host = parts.netloc.rsplit("@", 1)[-1]
    return f"{parts.scheme}://{host}{parts.path}" if host else str(url)[:100]
