"""The requests to one tenant, and the rules that keep the token where it belongs.

- The bearer token goes only to the configured host, over https (or loopback). It is put on by an authenticator that
  looks at each request's address, so that neither a redirect nor a `next` link can carry it elsewhere.
- No redirect is followed. TLS is always verified (`http.session`).
- A request that is safe to repeat is repeated (`http.tries`). A create is not: see `client.create_custom_app`.
- Time-outs are for the connection and for silence in either direction; answers, which are small, have a time in all.
"""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any
from urllib.parse import urljoin, urlsplit

from kandji_uploader._util import signals, timings
from kandji_uploader._util.secret import Secret
from kandji_uploader.errors import (
    ApiError,
    AuthenticationError,
    KandjiUploaderError,
    MissingPermissionError,
)
from kandji_uploader.http.addresses import origin, safe_address
from kandji_uploader.http.session import Session
from kandji_uploader.http.tries import Policy, RetryableError, Say, retry_after, spoken, with_tries
from kandji_uploader.kandji import permissions
from kandji_uploader.kandji.page import Page
from kandji_uploader.kandji.upload import UploadForm

_TOO_MANY, _UNAVAILABLE = 429, 503
_UNCACHED = {"Cache-Control": "no-cache"}
"""Lists come through caches, and what was just written must be read. Public clients of the service ask so, too."""


@dataclass(frozen=True)
class Answer:
    """One answer of the service, read whole.

    Attributes:
        request: method and path, for error texts.
        status: the HTTP status.
        text: the body.
        token: the token of the request. It must not be shown, though the body may hold it: a script in Kandji can.
        request_id: the service's id of the request, None where it sent none.
        cached: whether a cache answered, so that it may be older than what was written since.
        sent: how often the request was sent until it was answered.
        rows: of a list that was taken row by row, what was made of each; `text` has a 0 in place of each.
    """

    request: str
    status: int
    text: str
    token: Secret = field(repr=False)
    request_id: str | None = None
    cached: bool = False
    sent: int = 1
    rows: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def is_page(self) -> bool:
        """Whether it is a page for people, as a gateway or proxy writes where the service itself did not answer."""
        return self.text.lstrip()[:1] == "<"

    def worth_another_try(self, *, repeat: bool, readable: bool) -> bool:
        """Whether the same request may bring another answer; see `Transport.request`."""
        if self.status == _TOO_MANY:
            return True
        broken = readable and self.status in (200, 201) and not self._is_json()
        processing = self.status == _UNAVAILABLE and not self.is_page
        trouble = 500 <= self.status < 600 and not processing  # noqa: PLR2004
        return repeat and (broken or trouble)

    def _is_json(self) -> bool:
        try:
            self.json()
        except ApiError:
            return False
        return True

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ApiError: it is something else, for example a proxy's HTML page.
        """
        try:
            return self._parsed
        except (ValueError, RecursionError):
            raise self.error("the answer is not JSON. Is a proxy or a captive portal in between?") from None

    @cached_property
    def _parsed(self) -> Any:
        import json

        return json.loads(self.text)

    def error(self, advice: str, kind: type[ApiError] = ApiError) -> ApiError:
        """An error about this answer whose text ends in `advice` and the start of the body."""
        return kind(
            self.request, self.status, advice, request_id=self.request_id, body=_oneline(self.hidden(self.text))
        )

    def hidden(self, text: str) -> str:
        """A text of this answer as it may be shown, without the token."""
        return self.token.hidden_in(text)

    def is_plain(self, text: str) -> bool:
        """Whether every text of this JSON stands in it as it is, and none holds the token or half of a character."""
        return "\\" not in text and text.isascii() and self.token.reveal() not in text

    @cached_property
    def plain(self) -> bool:
        """What `is_plain` says of its own text."""
        return self.is_plain(self.text)


Take = Callable[[Answer, str, object], Any]


class Transport:
    """A session with one tenant's API.

    Args:
        api_url: `https://HOST`, or `http://` on loopback.
        token: the bearer token; revealed where the header is made, and nowhere else.
        policy: time-outs and tries.

    Attributes:
        clock_skew: seconds that the service's clock was ahead of this machine's at its last answer (behind: below 0),
            by its Date header, so to the second; None until it has answered, and where it tells no time.

    Raises:
        KandjiUploaderError: the token would leave this machine unencrypted.
    """

    def __init__(self, api_url: str, token: Secret, policy: Policy | None = None) -> None:
        self.api_url = api_url.rstrip("/")
        if not safe_address(self.api_url):
            raise KandjiUploaderError(f"{self.api_url} is not an https address; the token is sent to those only")
        self.policy = policy or Policy()
        self.clock_skew: float | None = None
        self._token = token
        self._bearer = _Bearer(token, self.api_url)
        self._brake = _Brake()
        self._session = Session(self.policy, "kandji.api_url (KANDJI_API_URL)")

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
        readable: bool = False,
        say: Say = lambda _: None,
        take: Take | None = None,
    ) -> Answer:
        """Send one request to the API and return its answer, whatever its status but 401, 403 and redirects.

        Args:
            method: GET, POST, PATCH or DELETE.
            address: a path below `/api/v1/`, or an absolute `next` link of the same host.
            fields: form fields.
            json: a JSON body, instead of fields.
            params: query parameters.
            repeat: whether the request may be sent again when its answer was lost. Where it cannot have been acted
                upon (no connection, 429) it is sent again in any case. 503 is left to the client, which knows why.
            readable: whether an answer that should be JSON, and is not, counts as lost.
            say: told before it is sent again, one line.
            take: makes something of each row of a list, while it comes in; given the answer without its text, the
                text of the row, and what that holds.

        Raises:
            NetworkError: the host was not reached (`LostAnswerError` where the request may have been acted upon).
            ApiError: 401 (`AuthenticationError`), 403 (`MissingPermissionError`), a redirect, a link to another host.
        """
        url = self._absolute(address)
        name = f"{method} {urlsplit(url).path.removeprefix('/api/v1/')}"
        send = partial(
            self._send, name, method, url, take=take, data=fields, json=json, params=params, auth=self._bearer
        )
        attempt = partial(self._attempt, send, itertools.count(1), say, repeat=repeat, readable=readable)
        try:
            return _checked(with_tries(self.policy, attempt, say, repeat=repeat))
        except BusyError as busy:
            return _checked(busy.answer)

    def _attempt(
        self,
        send: Callable[..., tuple[Answer, float]],
        tries: Iterator[int],
        say: Say,
        *,
        repeat: bool,
        readable: bool,
    ) -> Answer:
        """One try. Raises BusyError where another one may bring another answer."""
        self._brake.wait(say)
        number = next(tries)
        answer, wait = send(headers=_UNCACHED)
        answer = replace(answer, sent=number)
        if answer.status == _TOO_MANY:
            self._brake.hold(min(wait or self.policy.first_wait, self.policy.retry_after_cap))
        if answer.worth_another_try(repeat=repeat, readable=readable):
            raise BusyError(answer, wait)
        return answer

    @timings.at("upload")
    def post_form(self, url: str, form: UploadForm) -> Answer:
        """Send an upload form to the object store, once and without our token.

        Raises:
            NetworkError: the store was not reached or the connection broke; sending again is safe.
            InstallerError: the file changed while it was sent.
        """
        headers = {"Content-Type": form.content_type}
        answer, _ = self._send("POST to the upload store", "POST", url, data=form, headers=headers)
        return replace(answer, text=_in_short(answer.text))

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def wait(self, seconds: float) -> None:
        """Wait; a place of its own so that every pause of the client is found here."""
        signals.pause(seconds)

    def _absolute(self, address: str) -> str:
        """The address in full: a path below `/api/v1/`, or a `next` link, which may be absolute."""
        try:
            url = urljoin(f"{self.api_url}/api/v1/", address)
            elsewhere = origin(url) != origin(self.api_url)
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

    def _send(
        self, name: str, method: str, url: str, *, take: Take | None = None, **request: Any
    ) -> tuple[Answer, float]:
        """The answer, and the seconds to wait that it asks for."""
        response = self._session.open(name, method, url, **request)
        headers = response.headers
        if origin(url) == origin(self.api_url):  # the upload store's clock is another one
            self.clock_skew = _skew(headers, time.time(), self.clock_skew)
        answer = Answer(name, response.status_code, "", self._token, _request_id(headers), _is_cached(headers))
        if take is not None and response.ok:
            answer = by_rows(answer, self._session.within_limits(name, response), take)
        else:
            answer = replace(answer, text=self._session.whole(name, response).decode("utf-8", "replace"))
        return answer, retry_after(headers)


def by_rows(answer: Answer, blocks: Iterable[bytes], take: Take) -> Answer:
    """The answer with what was made of each row of its list, read from its blocks as they come in."""
    rows: list[Any] = []
    page = Page(lambda text, row: rows.append(take(answer, text, row)))
    for block in blocks:
        page.feed(block)
    return replace(answer, text=page.end(), rows=tuple(rows))


class BusyError(RetryableError):
    """An answer that may be another one at the next try.

    Attributes:
        answer: what was answered.
    """

    def __init__(self, answer: Answer, wait: float = 0.0) -> None:
        self.answer = answer
        super().__init__(f"{answer.request}: HTTP {answer.status}", wait)


class _Bearer:
    """Puts the token on a request, if the request goes to the host that it is for."""

    def __init__(self, token: Secret, api_url: str) -> None:
        self._token = token
        self._origin = origin(api_url)

    def __call__(self, request: Any) -> Any:
        if origin(request.url) != self._origin:
            raise KandjiUploaderError("the token is not sent to a host other than the configured one")
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
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

    def wait(self, say: Say) -> None:
        """Wait until sending is allowed, which may be put off further meanwhile; told where it is for a second."""
        signals.check()
        while (left := self._until - time.monotonic()) > 0:
            if left >= 1:
                say(f"Kandji asked for fewer requests; sending none for {spoken(left)}")
            signals.pause(left)


def _checked(answer: Answer) -> Answer:
    if answer.status == 401:  # noqa: PLR2004
        raise answer.error(
            "the API token was not accepted: it is wrong, was revoked or has expired. "
            "Make a new one in Kandji under Settings > Access",
            AuthenticationError,
        )
    if answer.status == 403:  # noqa: PLR2004
        raise answer.error(
            f"the API token lacks the permission {permissions.needed_for(answer.request)!r}. "
            "Add it to the token in Kandji under Settings > Access",
            MissingPermissionError,
        )
    if 300 <= answer.status < 400:  # noqa: PLR2004
        raise answer.error("a redirect, which is never followed. Check the API URL (kandji.api_url)")
    return answer


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


def _is_cached(headers: Mapping[str, str]) -> bool:
    """Whether an answer comes out of a cache: it has an age (RFC 9111, 5.1), or a cache on the way says so."""
    return headers.get("Age", "0").strip() not in ("", "0") or "hit" in headers.get("X-Cache", "").lower()


def _request_id(headers: Mapping[str, str]) -> str | None:
    for name in ("x-request-id", "x-amz-request-id", "x-amzn-requestid"):
        if headers.get(name):
            return str(headers[name])[:100]
    return None


def _in_short(text: str) -> str:
    """What S3 says went wrong, without what it repeats of the signed form."""
    said = re.findall(r"<(?:Code|Message)>([^<]*)<", text) if "<Error>" in text else []
    return ": ".join(said) or text


def _oneline(text: str) -> str:
    return " ".join(text[:1200].split())
