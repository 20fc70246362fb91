"""The session: one request at a time, sent once, and its answer read within limits.

TLS is always verified. `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE` and `SSL_CERT_FILE` name further certificate
authorities; nothing turns the verification off. Proxies are those of the environment (or of macOS), except for this
machine. No password is looked for in ~/.netrc, and no redirect is followed here.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kandji_uploader import __version__
from kandji_uploader.errors import NetworkError
from kandji_uploader.http import BLOCK
from kandji_uploader.http.addresses import CA_VARIABLES, is_loopback, split
from kandji_uploader.http.tries import EndlessAnswerError, LostAnswerError, Policy, RetryableError

if TYPE_CHECKING:
    import requests
    from requests import Response as Response  # noqa: PLC0414 - a name for others, who do not know `requests`

USER_AGENT = f"KandjiUploader/{__version__}"


_FIELDS_OF_A_REPORT = 8
"""Of urllib3's report on a request: scheme, host, port, method, path, protocol, status and length."""


@contextlib.contextmanager
def hidden_paths() -> Iterator[None]:
    """While it lasts, urllib3 logs no path of a request of this thread: that of a webhook is a secret."""
    thread = threading.get_ident()

    def hides(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        if not isinstance(record.args, tuple) or len(record.args) != _FIELDS_OF_A_REPORT:
            return False
        record.args = (*record.args[:4], "/(not shown)", *record.args[5:])
        return True

    logger = logging.getLogger("urllib3.connectionpool")
    logger.addFilter(hides)
    try:
        yield
    finally:
        logger.removeFilter(hides)


class Session:
    """Connections to hosts, kept open between requests.

    Args:
        policy: time-outs and limits; trying again is the caller's (`with_tries`).
        check: what an admin should look at if the host is not reached: the setting that names it.
        body_timed: whether `answer_time` is for the body too, or for the head of an answer only (downloads).
    """

    def __init__(self, policy: Policy, check: str, *, body_timed: bool = True) -> None:
        import requests

        from kandji_uploader.http.connections import adapter

        self.policy = policy
        self._check = check
        self._requests = requests.Session()
        self._requests.trust_env = False
        self._requests.headers["User-Agent"] = USER_AGENT
        for scheme in ("https://", "http://"):
            self._requests.mount(scheme, adapter(policy, body_timed=body_timed))

    def __enter__(self) -> Session:  # noqa: PYI034 - `Self` came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._requests.close()

    def open(self, name: str, method: str, url: str, **request: Any) -> requests.Response:
        """Send a request; its answer's body is still to be read, with `blocks` or `whole`.

        Args:
            name: the request, for error texts; without secrets.
            method: GET, POST, ...
            url: where to; it is in no error text, except for its host.
            request: as `requests` takes it: `data`, `json`, `params`, `headers`, `auth`.

        Raises:
            NetworkError: the host was not reached (`RetryableError` where it may be at the next try,
                `LostAnswerError` where the request may have been acted upon).
        """
        import requests

        try:
            return self._requests.request(
                method,
                url,
                timeout=(self.policy.connect_timeout, self.policy.idle_timeout),
                allow_redirects=False,
                stream=True,
                verify=_authorities(),
                proxies={} if is_loopback(split(url).hostname) else requests.utils.get_environ_proxies(url),
                **request,
            )
        except requests.RequestException as problem:
            raise self._error(name, url, problem) from None
        except OSError as problem:  # what `requests` raises for a bundle of certificates that is not there
            raise _bad_authorities(problem) from None
        except ValueError:  # `requests` looks at where a redirect leads to, even if it is not to follow it
            raise NetworkError(f"{name}: a redirect to something that is no address. Check {self._check}") from None

    def blocks(self, name: str, response: requests.Response, *, decoded: bool = True) -> Iterator[bytes]:
        """The body as it comes in, at most `BLOCK` bytes at a time.

        Raises:
            LostAnswerError: the connection broke, fell silent, or ended early.
            EndlessAnswerError: its time is over.
        """
        from urllib3.exceptions import HTTPError

        while True:
            try:
                block = response.raw.read1(BLOCK, decode_content=decoded)
            except (HTTPError, OSError) as problem:
                raise self._lost(name, response.url, problem) from None
            if not block:
                return
            yield block

    def whole(self, name: str, response: requests.Response) -> bytes:
        """The body, decoded; the connection is free for another request then. Raises as `within_limits`."""
        return b"".join(self.within_limits(name, response))

    def within_limits(self, name: str, response: requests.Response) -> Iterator[bytes]:
        """The body, decoded, as it comes in; the connection is free for another request in the end.

        Raises:
            LostAnswerError: as `blocks`.
            EndlessAnswerError: its time is over, or it is larger than `answer_size`.
        """
        size = 0
        with response:
            for block in self.blocks(name, response):
                size += len(block)
                if size > self.policy.answer_size:
                    raise EndlessAnswerError(
                        f"{name}: the answer is larger than {self.policy.answer_size >> 20} MiB, which no honest one "
                        f"is; it was not read further. Check {self._check}, and any proxy in between"
                    )
                yield block

    def _error(self, name: str, url: str, problem: requests.RequestException) -> NetworkError:
        """What to tell of a connection that failed; `LostAnswerError` unless it surely never reached the service."""
        from requests import exceptions
        from urllib3.exceptions import MaxRetryError, NameResolutionError, NewConnectionError

        host = split(url).hostname
        cause = problem.args[0] if problem.args else None
        reason = cause.reason if isinstance(cause, MaxRetryError) else cause
        if isinstance(problem, exceptions.SSLError):
            return self._tls_error(f"{name}: {host}", problem)
        if isinstance(reason, NameResolutionError):
            return RetryableError(f"{name}: the host {host!r} does not exist (DNS). Check {self._check}")
        if isinstance(problem, exceptions.ProxyError):
            return RetryableError(f"{name}: the proxy did not connect to {host}. Check HTTPS_PROXY and NO_PROXY")
        if isinstance(problem, exceptions.ConnectTimeout) or isinstance(reason, NewConnectionError):
            text = f"{name}: {host} was not reached. Check the network and {self._check}, then run again"
            return RetryableError(text)
        if isinstance(problem, (exceptions.ConnectionError, exceptions.Timeout)):
            return self._lost(name, url, problem)
        return NetworkError(f"{name}: it cannot be asked for ({type(problem).__name__}). Check {self._check}")

    def _lost(self, name: str, url: str, problem: Exception) -> LostAnswerError:
        from kandji_uploader.http.connections import AnswerTooSlowError

        where = f"{name}: {split(url).hostname}"
        if _caused_by(problem, AnswerTooSlowError):
            return EndlessAnswerError(
                f"{where}: the answer had not ended after {self.policy.answer_time:.0f} seconds. "
                f"Check {self._check}, and any proxy in between"
            )
        told = "no answer in time" if "timed out" in str(problem) else "the connection broke"
        return LostAnswerError(f"{where}: {told}. Run again when the network is well")

    def _tls_error(self, where: str, problem: requests.RequestException) -> NetworkError:
        text = str(problem)
        if "NO_CERTIFICATE_OR_CRL" in text:
            return _bad_authorities(problem)
        if "CERTIFICATE_VERIFY_FAILED" in text:
            told = re.search(r"certificate verify failed: ([ -~]{1,200}?)\.? \(_ssl", text)
            why = f" ({told[1]})" if told else ""
            return NetworkError(
                f"{where}: its TLS certificate was not accepted{why}. If a proxy inspects TLS, name its CA's file with "
                f"{CA_VARIABLES[0]}; the verification cannot be turned off"
            )
        # An alert may come after the request was sent (TLS 1.3), so that nobody knows whether it was acted upon.
        return LostAnswerError(
            f"{where}: no TLS connection could be made. Check {self._check}, and any proxy in between"
        )


def _authorities() -> str | bool:
    """The file of certificate authorities that the environment names; True for the usual ones, never False."""
    return next((os.environ[name] for name in CA_VARIABLES if os.environ.get(name)), True)


def _bad_authorities(problem: OSError) -> NetworkError:
    named = next((name for name in CA_VARIABLES if os.environ.get(name)), None)
    if named is None:
        return NetworkError(f"the system refused the connection ({problem}). Run again")
    return NetworkError(
        f"{named} names {os.environ[named]!r}, which is not a file of certificates. Correct it or unset it"
    )


def _caused_by(problem: BaseException | None, kind: type[BaseException]) -> bool:
    while problem is not None and not isinstance(problem, kind):
        problem = problem.__cause__ or problem.__context__
    return problem is not None
