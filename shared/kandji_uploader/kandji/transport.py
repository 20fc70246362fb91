"""The wire: one session, one retry policy, and the rules that keep the token where it belongs.

- The bearer token goes only to the configured host, over https (or loopback). It is put on by an authenticator that
  looks at each request's address, so that neither a redirect nor a `next` link can carry it elsewhere.
- No redirect is followed. TLS is always verified; the usual variables (`REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`,
  `SSL_CERT_FILE`) name a custom CA, and nothing turns the verification off.
- A request that is safe to repeat is repeated by urllib3's `Retry`. A create is not: see `client.create_custom_app`.
- Time-outs are for the connection and for silence in either direction, never for the whole of a slow but moving
  transfer.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import random
import re
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from kandji_uploader import __version__
from kandji_uploader._util import signals as interrupts
from kandji_uploader._util.lazydataclass import dataclass
from kandji_uploader.errors import (
    ApiError,
    AuthenticationError,
    KandjiUploaderError,
    MissingPermissionError,
    NetworkError,
)
from kandji_uploader.kandji.upload import BLOCK, UploadForm

if TYPE_CHECKING:
    import requests
    from urllib3.response import BaseHTTPResponse
    from urllib3.util import Retry

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_TOO_MANY = 429
_RECORD = 1 << 14
"""Bytes that are given to TLS at a time: one record, so that a slow line is seen to move."""
_UNSENT = (socket.IPPROTO_TCP, getattr(socket, "TCP_NOTSENT_LOWAT", 0x201 if sys.platform == "darwin" else 25), 1 << 17)
"""The system takes no more than 128 KiB ahead of the wire: whatever it took would count as sent, and the minutes that a
slow line needs for it as silence."""
_HIDDEN = "(token)"


@dataclass(frozen=True)
class Policy:
    """How patient the transport is; all times in seconds.

    Attributes:
        connect_timeout: to open a connection.
        idle_timeout: without a byte in either direction.
        tries: how often a request that is safe to repeat is sent at the most.
        first_wait: before the second try; it doubles with each further one, with jitter.
        longest_wait: the most that is waited between two tries.
        retry_after_cap: the most that a server's Retry-After is honoured for.
        processing_budget: for `still being processed` in all.
    """

    connect_timeout: float = 15.0
    idle_timeout: float = 60.0
    tries: int = 5
    first_wait: float = 0.5
    longest_wait: float = 20.0
    retry_after_cap: int = 120
    processing_budget: float = 300.0


@dataclass(frozen=True)
class Answer:
    """One answer of the service, read whole.

    Attributes:
        request: method and path, for error texts.
        status: the HTTP status.
        text: the body.
        request_id: the service's id of the request, None where it sent none.
        date: when it answered by its own clock (the Date header), None where it does not tell.
    """

    request: str
    status: int
    text: str
    request_id: str | None = None
    date: str | None = None

    @property
    def is_page(self) -> bool:
        """Whether it is a page for people, as a gateway or proxy writes where the service itself did not answer."""
        return self.text.lstrip()[:1] == "<"

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ApiError: it is something else, for example a proxy's HTML page.
        """
        import json

        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            raise self.error("the answer is not JSON. Is a proxy or a captive portal in between?") from None

    def error(self, advice: str, kind: type[ApiError] = ApiError) -> ApiError:
        """An error about this answer whose text ends in `advice` and the start of the body."""
        return kind(self.request, self.status, advice, request_id=self.request_id, body=_oneline(self.text))


class LostAnswerError(NetworkError):
    """The request may have been acted upon, but its answer did not arrive whole.

    Attributes:
        spent: whether it was sent as often as the policy allows.
    """

    def __init__(self, text: str, *, spent: bool = False) -> None:
        self.spent = spent
        super().__init__(text)


class Transport:
    """A session with one tenant's API.

    Args:
        api_url: `https://HOST`, or `http://` on loopback.
        token: the bearer token; kept in the authenticator only.
        policy: time-outs and tries.

    Attributes:
        clock_skew: seconds that the service's clock was ahead of this machine's at its last answer (behind: below 0),
            by its Date header, so to the second; None until it has answered, and where it tells no time.

    Raises:
        KandjiUploaderError: the token would leave this machine unencrypted.
    """

    def __init__(self, api_url: str, token: str, policy: Policy | None = None) -> None:
        import requests

        self.api_url = api_url.rstrip("/")
        if not safe_address(self.api_url):
            raise KandjiUploaderError(f"{self.api_url} is not an https address; the token is sent to those only")
        self.policy = policy or Policy()
        self.clock_skew: float | None = None
        self._token = token
        self._brake = _Brake()
        self._session, self._once, self._store = requests.Session(), requests.Session(), requests.Session()
        _mount(self._session, self._retry(repeat=True), self.policy)
        _mount(self._once, self._retry(repeat=False), self.policy)
        _mount(self._store, _no_retry(), self.policy)
        for session in (self._session, self._once, self._store):
            session.headers["User-Agent"] = f"KandjiUploader/{__version__}"
            session.trust_env = not is_loopback(urlsplit(self.api_url).hostname)

    def __repr__(self) -> str:
        return f"Transport({self.api_url})"

    def request(
        self,
        method: str,
        address: str,
        *,
        fields: Mapping[str, str] | None = None,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        repeat: bool = True,
    ) -> Answer:
        """Send one request to the API and return its answer, whatever its status but 401, 403 and redirects.

        Args:
            method: GET, POST, PATCH or DELETE.
            address: a path below `/api/v1/`, or an absolute `next` link of the same host.
            fields: form fields.
            json: a JSON body, instead of fields.
            params: query parameters.
            repeat: whether the request may be sent again when its answer was lost.

        Raises:
            NetworkError: the host was not reached (`LostAnswerError` where the request may have been acted upon).
            AuthenticationError: 401.
            MissingPermissionError: 403.
            ApiError: a redirect, or a link to another host.
        """
        url = self._absolute(address)
        name = f"{method} {urlsplit(url).path.removeprefix('/api/v1/')}"
        session = self._session if repeat else self._once
        self._brake.wait()
        answer = self._send(
            name,
            session,
            method=method,
            url=url,
            data=fields,
            json=json,
            params=params,
            auth=_Bearer(self._token, self.api_url),
        )
        return _checked(answer)

    def post_form(self, url: str, form: UploadForm) -> Answer:
        """Send an upload form to the object store, without our token.

        Raises:
            NetworkError: the store was not reached or the connection broke; sending again is safe.
            InstallerError: the file changed while it was sent.
        """
        headers = {"Content-Type": form.content_type}
        answer = self._send(
            "POST to the upload store", self._store, method="POST", url=url, data=form, headers=headers, auth=_anonymous
        )
        return replace(answer, text=_in_short(answer.text))

    def wait(self, seconds: float) -> None:
        """Wait; a place of its own so that every pause of the client is found here."""
        interrupts.pause(seconds)

    def _absolute(self, address: str) -> str:
        """The address in full: a path below `/api/v1/`, or a `next` link, which may be absolute."""
        try:
            url = urljoin(f"{self.api_url}/api/v1/", address)
            elsewhere = _origin(url) != _origin(self.api_url)
        except ValueError:
            elsewhere = True
        if elsewhere:
            raise ApiError(
                f"GET {self.api_url}",
                None,
                f"the link to the next page names another host ({address[:100]!r}); it was not followed, so that the "
                "token stays here. Check the API URL (kandji.api_url)",
            )
        return url

    def _send(self, name: str, session: requests.Session, **request: Any) -> Answer:
        import requests

        timeout = (self.policy.connect_timeout, self.policy.idle_timeout)
        try:
            response = session.request(timeout=timeout, allow_redirects=False, verify=_authorities(), **request)
        except requests.RequestException as problem:
            raise _network_error(name, request["url"], problem) from None
        except OSError as problem:  # what `requests` raises for a bundle of certificates that is not there
            raise _bad_authorities(problem) from None
        text = response.content.decode("utf-8", "replace").replace(self._token, _HIDDEN)
        if request["url"].startswith(f"{self.api_url}/"):  # the upload store's clock is another one
            self.clock_skew = _skew(response.headers, time.time(), self.clock_skew)
        return Answer(name, response.status_code, text, _request_id(response.headers), response.headers.get("Date"))

    def _retry(self, *, repeat: bool) -> Retry:
        """The policy as urllib3 knows it.

        A request that must not be repeated is still sent again where it cannot have been acted upon: no connection
        was made, or the answer was 429. 503 is left to the client, which knows what is being processed.
        """
        tries = self.policy.tries - 1
        return _patience(self._brake)(
            total=tries,
            read=None if repeat else 0,
            other=None if repeat else 0,
            redirect=0,
            allowed_methods=None,
            status_forcelist=(429, *(code for code in range(500, 600) if repeat and code != 503)),  # noqa: PLR2004
            backoff_factor=self.policy.first_wait,
            backoff_max=self.policy.longest_wait,
            retry_after_max=self.policy.retry_after_cap,
            raise_on_status=False,
        )


class _Bearer:
    """Puts the token on a request, if the request goes to the host that it is for."""

    def __init__(self, token: str, api_url: str) -> None:
        self._token = token
        self._origin = _origin(api_url)

    def __call__(self, request: Any) -> Any:
        if _origin(request.url) != self._origin:
            raise KandjiUploaderError("the token is not sent to a host other than the configured one")
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _anonymous(request: Any) -> Any:
    """Keeps `requests` from looking for a password of the store's host in ~/.netrc."""
    return request


class _Brake:
    """One rate limit for all threads: where one of them was told to wait (429), none sends until then."""

    def __init__(self) -> None:
        self._until = 0.0
        self._lock = threading.Lock()

    def hold(self, seconds: float) -> None:
        """Let nobody send for so long, from now."""
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)

    def wait(self) -> None:
        """Wait until sending is allowed, which may be put off further meanwhile."""
        interrupts.check()
        while (left := self._until - time.monotonic()) > 0:
            interrupts.pause(left)


def _patience(brake: _Brake) -> type[Retry]:
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    class Patience(Retry):
        """urllib3's policy with waits as `Policy` promises them: before the second try too, and all with jitter."""

        RETRY_AFTER_STATUS_CODES = frozenset({429})

        def sleep(self, response: BaseHTTPResponse | None = None) -> None:
            said = self.get_retry_after(response) if response is not None else None
            seconds = said or self.get_backoff_time()
            if response is not None and response.status == _TOO_MANY:
                brake.hold(seconds)
                brake.wait()
            else:
                interrupts.pause(seconds)

        def get_backoff_time(self) -> float:
            longest: float = min(self.backoff_factor * 2 ** (len(self.history) - 1), self.backoff_max)
            return longest * random.uniform(0.5, 1)  # noqa: S311 - jitter, not a secret

        def parse_retry_after(self, retry_after: str) -> float:
            try:
                return super().parse_retry_after(retry_after)
            except (InvalidHeader, ValueError, OverflowError):
                return 0.0  # which stands for "not said"

    return Patience


def _mount(session: requests.Session, retry: Retry, policy: Policy) -> None:
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        """Reads bodies in large blocks: at 16 KiB, urllib3's own size, Python is slower than the wire."""

        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, blocksize=BLOCK, **options)
            self.poolmanager.pool_classes_by_scheme = _pools(policy.idle_timeout)

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            manager = super().proxy_manager_for(proxy, blocksize=BLOCK, **options)
            if not proxy.lower().startswith("socks"):  # which has pools of its own
                manager.pool_classes_by_scheme = _pools(policy.idle_timeout)
            return manager

    adapter = Adapter(max_retries=retry)
    session.mount("https://", adapter)
    session.mount("http://", adapter)


def _pools(idle_timeout: float) -> dict[str, Any]:
    """urllib3's pools, with connections that give up sending only where nothing moves for `idle_timeout` seconds.

    urllib3 sends a block under the time-out for connecting, and `sendall` counts that for the block as a whole: a
    slow line that moves would be given up, and one that stands still told apart from it by chance.
    """
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class Steady:
        sock: socket.socket
        piece = BLOCK  # a socket takes what there is room for

        def connect(self) -> None:
            super().connect()  # type: ignore[misc]
            with contextlib.suppress(OSError):  # a system that does not know the option
                self.sock.setsockopt(*_UNSENT)

        def send(self, data: Any) -> None:
            if self.sock is None:
                self.connect()
            self.sock.settimeout(idle_timeout)
            rest = memoryview(data)
            while rest:
                interrupts.check()
                rest = rest[self.sock.send(rest[: self.piece]) :]

    plain = type("Plain", (Steady, HTTPConnection), {})
    secure = type("Secure", (Steady, HTTPSConnection), {"piece": _RECORD})  # TLS takes all that it is given, or nothing
    return {
        "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
    }


def _no_retry() -> Retry:
    from urllib3.util import Retry

    return Retry(total=0, redirect=0, raise_on_status=False, respect_retry_after_header=False)


def _authorities() -> str | bool:
    """The file of certificate authorities that the environment names; True for the usual ones, never False."""
    return next((os.environ[name] for name in _CA_VARIABLES if os.environ.get(name)), True)


def _bad_authorities(problem: OSError) -> NetworkError:
    named = next((name for name in _CA_VARIABLES if os.environ.get(name)), None)
    if named is None:
        return NetworkError(f"the system refused the connection ({problem}). Run again")
    return NetworkError(
        f"{named} names {os.environ[named]!r}, which is not a file of certificates. Correct it or unset it"
    )


def _checked(answer: Answer) -> Answer:
    if answer.status == 401:  # noqa: PLR2004
        raise answer.error(
            "the API token was not accepted: it is wrong, was revoked or has expired. "
            "Make a new one in Kandji under Settings > Access",
            AuthenticationError,
        )
    if answer.status == 403:  # noqa: PLR2004
        raise answer.error(
            f"the API token lacks the permission {permission_for(answer.request)!r}. "
            "Add it to the token in Kandji under Settings > Access",
            MissingPermissionError,
        )
    if 300 <= answer.status < 400:  # noqa: PLR2004
        raise answer.error("a redirect, which is never followed. Check the API URL (kandji.api_url)")
    return answer


_PERMISSIONS = (
    ("GET", "self-service/categories", "List Self Service Categories"),
    ("POST", "library/custom-apps/upload", "Upload Custom App"),
    ("POST", "library/custom-apps", "Create Custom App"),
    ("PATCH", "library/custom-apps/", "Update Custom App"),
    ("DELETE", "library/custom-apps/", "Delete Custom App"),
    ("GET", "library/custom-apps/", "Get Custom App"),
    ("GET", "library/custom-apps", "List Custom Apps"),
    ("GET", "library/library-items/", "Get Library Item Statuses"),
    ("POST", "blueprints/", "Assign Library Item"),
    ("GET", "blueprints/", "Get Blueprint"),
    ("GET", "blueprints", "List Blueprints"),
    ("GET", "prism/", "Applications"),
)


def permission_for(request: str) -> str:
    """The name that Kandji's token settings give the permission for a request such as `POST library/custom-apps`."""
    method, _, path = request.partition(" ")
    for known, start, permission in _PERMISSIONS:
        if method == known and path.startswith(start):
            return permission
    return request


def _network_error(name: str, url: str, problem: requests.RequestException) -> NetworkError:
    """What to tell of a connection that failed; `LostAnswerError` unless it surely never reached the service."""
    import requests
    from urllib3.exceptions import MaxRetryError, NameResolutionError, NewConnectionError

    host = urlsplit(url).hostname
    cause = problem.args[0] if problem.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    if isinstance(problem, requests.exceptions.SSLError):
        return _tls_error(f"{name}: {host}", problem)
    if isinstance(reason, NameResolutionError):
        return NetworkError(f"{name}: the host {host!r} does not exist (DNS). Check kandji.api_url (KANDJI_API_URL)")
    if isinstance(problem, requests.exceptions.ProxyError):
        return NetworkError(f"{name}: the proxy did not connect to {host}. Check HTTPS_PROXY and NO_PROXY")
    if isinstance(problem, requests.exceptions.ConnectTimeout) or isinstance(reason, NewConnectionError):
        return NetworkError(f"{name}: {host} was not reached. Check the network and kandji.api_url, then run again")
    if isinstance(problem, requests.exceptions.InvalidURL):
        return NetworkError(f"{name}: {host!r} is not a host. Check kandji.api_url (KANDJI_API_URL)")
    told = "no answer in time" if "timed out" in str(problem) else "the connection broke"
    return LostAnswerError(
        f"{name}: {host}: {told}. Run again when the network is well", spent=isinstance(cause, MaxRetryError)
    )


def _tls_error(where: str, problem: requests.RequestException) -> NetworkError:
    text = str(problem)
    if "NO_CERTIFICATE_OR_CRL" in text:
        return _bad_authorities(problem)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        told = re.search(r"certificate verify failed: ([ -~]{1,200}?)\.? \(_ssl", text)
        why = f" ({told[1]})" if told else ""
        return NetworkError(
            f"{where}: its TLS certificate was not accepted{why}. If a proxy inspects TLS, name its CA's file with "
            f"{_CA_VARIABLES[0]}; the verification cannot be turned off"
        )
    return NetworkError(f"{where}: no TLS connection could be made. Check kandji.api_url, and any proxy in between")


def _skew(headers: Mapping[str, str], now: float, known: float | None) -> float | None:
    """Seconds that the clock of who answered is ahead of `now`; `known` where the answer does not tell.

    An answer out of a cache carries the time at which it was made, and its age since then (RFC 9111, 5.1).
    """
    from email.utils import parsedate_to_datetime

    try:
        age = float(headers.get("Age", "0"))
        return parsedate_to_datetime(headers.get("Date", "")).timestamp() + age - now
    except (TypeError, ValueError, OverflowError):
        return known


def _request_id(headers: Mapping[str, str]) -> str | None:
    for name in ("x-request-id", "x-amz-request-id", "x-amzn-requestid"):
        if headers.get(name):
            return str(headers[name])[:100]
    return None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def safe_address(url: str) -> bool:
    """Whether what is sent to an address cannot be read on the way: https, or this machine."""
    try:
        parts = urlsplit(url)
        return (
            bool(parts.hostname)
            and parts.port != 0
            and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)))
        )
    except ValueError:
        return False


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _in_short(text: str) -> str:
    """What S3 says went wrong, without what it repeats of the signed form."""
    said = re.findall(r"<(?:Code|Message)>([^<]*)<", text) if "<Error>" in text else []
    return ": ".join(said) or text


def _oneline(text: str) -> str:
    return " ".join(text[:1200].split())
