"""The wire: one session, one retry policy, and the rules that keep the token where it belongs.

- The bearer token goes only to the configured host, over https (or loopback). It is put on by an authenticator that
  looks at each request's address, so that neither a redirect nor a `next` link can carry it elsewhere.
- No redirect is followed. TLS is always verified; the usual variables (`REQUESTS_CA_BUNDLE`) name a custom CA.
- A request that is safe to repeat is repeated by urllib3's `Retry`. A create is not: see `client.create_custom_app`.
- Time-outs are for the connection and for silence, never for the whole of a slow but moving transfer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kandji_uploader import __version__
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
    from urllib3.util import Retry

LOOPBACK = ("127.0.0.1", "localhost", "::1")


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
    retry_after_cap: float = 120.0
    processing_budget: float = 300.0


@dataclass(frozen=True)
class Answer:
    """One answer of the service, read whole.

    Attributes:
        request: method and path, for error texts.
        status: the HTTP status.
        text: the body.
        request_id: the service's id of the request, None where it sent none.
    """

    request: str
    status: int
    text: str
    request_id: str | None = None

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ApiError: it is something else, for example a proxy's HTML page.
        """
        import json

        try:
            return json.loads(self.text)
        except ValueError:
            raise self.error("the answer is not JSON. Is a proxy or a captive portal in between?") from None

    def error(self, advice: str, kind: type[ApiError] = ApiError) -> ApiError:
        """An error about this answer whose text ends in `advice` and the start of the body."""
        return kind(self.request, self.status, advice, request_id=self.request_id, body=_oneline(self.text))


class LostAnswerError(NetworkError):
    """The request may have been acted upon, but its answer did not arrive whole."""


class Transport:
    """A session with one tenant's API.

    Args:
        api_url: `https://HOST`, or `http://` on loopback.
        token: the bearer token; kept in the authenticator only.
        policy: time-outs and tries.
    """

    def __init__(self, api_url: str, token: str, policy: Policy | None = None) -> None:
        import requests

        self.api_url = api_url.rstrip("/")
        self.policy = policy or Policy()
        self._token = token
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"KandjiUploader/{__version__}"
        _mount(self._session, self._retry(repeat=True))
        self._once = requests.Session()
        self._once.headers.update(self._session.headers)
        _mount(self._once, self._retry(repeat=False))
        self._store = requests.Session()
        _mount(self._store, _no_retry())
        for session in (self._session, self._once, self._store):
            session.trust_env = not _is_loopback(urlsplit(self.api_url).hostname)

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
        return self._send(
            "POST to the upload store", self._store, method="POST", url=url, data=form, headers=headers, auth=_anonymous
        )

    def wait(self, seconds: float) -> None:
        """Wait; a place of its own so that every pause of the client is found here."""
        time.sleep(seconds)

    def _absolute(self, address: str) -> str:
        if "://" not in address:
            return f"{self.api_url}/api/v1/{address}"
        if _origin(address) != _origin(self.api_url):
            raise ApiError(
                f"GET {self.api_url}",
                None,
                f"the link to the next page names another host, {urlsplit(address).hostname!r}; "
                "it was not followed, so that the token stays here",
            )
        return address

    def _send(self, name: str, session: requests.Session, **request: Any) -> Answer:
        import requests

        timeout = (self.policy.connect_timeout, self.policy.idle_timeout)
        try:
            response = session.request(timeout=timeout, allow_redirects=False, **request)
        except requests.RequestException as problem:
            raise _network_error(name, request["url"], problem) from None
        text = response.content.decode("utf-8", "replace")
        return Answer(name, response.status_code, text, _request_id(response.headers))

    def _retry(self, *, repeat: bool) -> Retry:
        """The policy as urllib3 knows it.

        A request that must not be repeated is still sent again where it cannot have been acted upon: no connection
        was made, or the answer was 429.
        """
        from urllib3.util import Retry

        tries = self.policy.tries - 1
        return Retry(
            total=tries * 2,
            connect=tries,
            read=tries if repeat else 0,
            other=tries if repeat else 0,
            status=tries,
            redirect=0,
            allowed_methods=None,
            status_forcelist=(429, 500, 502, 504) if repeat else (429,),
            backoff_factor=self.policy.first_wait,
            backoff_max=self.policy.longest_wait,
            backoff_jitter=self.policy.first_wait,
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


def _mount(session: requests.Session, retry: Retry) -> None:
    from requests.adapters import HTTPAdapter

    class LargeBlocks(HTTPAdapter):
        """Sends bodies in large blocks: at 16 KiB, urllib3's own size, Python is slower than the wire."""

        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, blocksize=BLOCK, **options)  # type: ignore[no-untyped-call]

    adapter = LargeBlocks(max_retries=retry)
    session.mount("https://", adapter)
    session.mount("http://", adapter)


def _no_retry() -> Retry:
    from urllib3.util import Retry

    return Retry(total=0, redirect=0, raise_on_status=False, respect_retry_after_header=False)


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

    host = urlsplit(url).hostname
    text = str(problem)
    if isinstance(problem, requests.exceptions.SSLError):
        advice = "its certificate was not accepted. Name your own CA with REQUESTS_CA_BUNDLE if a proxy inspects TLS"
        return NetworkError(f"{name}: {host}: {advice}")
    if "NameResolutionError" in text or "getaddrinfo failed" in text or "Name or service not known" in text:
        return NetworkError(f"{name}: the host {host!r} does not exist (DNS). Check kandji.api_url (KANDJI_API_URL)")
    if isinstance(problem, requests.exceptions.ConnectTimeout) or "NewConnectionError" in text:
        return NetworkError(f"{name}: {host} was not reached. Check the network and kandji.api_url, then run again")
    if isinstance(problem, requests.exceptions.ProxyError):
        return NetworkError(f"{name}: the proxy did not connect to {host}. Check HTTPS_PROXY and NO_PROXY")
    reason = "no answer in time" if "timed out" in text else "the connection broke"
    return LostAnswerError(f"{name}: {host}: {reason}. Run again when the network is well")


def _request_id(headers: Mapping[str, str]) -> str | None:
    for name in ("x-request-id", "x-amz-request-id", "x-amzn-requestid"):
        if headers.get(name):
            return str(headers[name])[:100]
    return None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _is_loopback(host: str | None) -> bool:
    return host in LOOPBACK or (host or "").startswith("127.")


def _oneline(text: str) -> str:
    return " ".join(text[:1200].split())
