"""Kandji's API, one method for each documented request that this library has a use for.

Methods return values of the domain and raise `KandjiUploaderError`s; they decide nothing. Those that read a paged
list follow every page. What may be sent twice is sent again by the transport; a create is sent once, and a lost
answer to it is the caller's to settle (`LostAnswerError`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from kandji_uploader._util.prehash import PartialDigest
from kandji_uploader._util.secret import Secret
from kandji_uploader.errors import ApiError, KandjiUploaderError, NetworkError, StillProcessingError
from kandji_uploader.http.addresses import safe_address
from kandji_uploader.http.tries import LostAnswerError, Policy, spoken, tell, with_tries
from kandji_uploader.kandji import answers
from kandji_uploader.kandji.answers import Fields, UploadTicket
from kandji_uploader.kandji.transport import Answer, BusyError, Take, Transport
from kandji_uploader.kandji.upload import Progress, UploadForm
from kandji_uploader.models import Blueprint, Category, CustomApp

if TYPE_CHECKING:
    from kandji_uploader.status.models import AffectedSoftware, StatusRecord, Vulnerability

Value = TypeVar("Value")
FormValue = str | bool

_APPS = "library/custom-apps"
_OK, _CREATED, _NO_CONTENT, _BAD_REQUEST, _NOT_FOUND, _UNAVAILABLE = 200, 201, 204, 400, 404, 503
_REQUEST_TIMEOUT, _TOO_MANY_REQUESTS, _SERVER_TROUBLE = 408, 429, 500
_LISTINGS = 3
_THERE_ALREADY = ("already exists", "can only have one of this Library Item type")
"""Answers to an assignment that mean that the item is there. The documentation has the first one only; a node of an
Assignment Map was seen to answer the second one about an item that it holds."""
_SOME = 1000
_NUMBERED = 50
"""Rows on a page of the lists of vulnerabilities: the number in their documentation, which names no higher one."""


class NotFoundError(ApiError):
    """404: there is no such thing in the tenant (any more)."""


class UploadExpiredError(ApiError):
    """The store's policy for this upload has expired; a new ticket is needed."""


class RejectedError(ApiError):
    """400: the service did not accept a field; its text says which."""


@dataclass(frozen=True)
class Creation:
    """An app that was created.

    Attributes:
        app: what the service answered.
        sent: how often it was asked to, by whatever layer; more than once where it answered that it was not ready, or
            that there were too many requests. Each of them may have made an app.
    """

    app: CustomApp
    sent: int


class _PageCheck:
    """A list on its way, which has to grow with each page and to end: `next` is the service's word, and may be wrong.

    Args:
        seconds: for all of its pages.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._pages: set[int] = set()
        self._rows = self._most = 0

    def goes_on(self, answer: Answer, rows: Sequence[int], count: int | None) -> None:
        """Take note of a page, by the digests of its rows, that says that another one follows.

        Raises:
            ApiError: it brought nothing new, or there are far more rows than the service itself counts (some come
                twice where an app is added meanwhile), or the time is over.
        """
        page = hash(tuple(rows))
        self._rows += len(rows)
        self._most = max(self._most, count or 0)
        if not rows or page in self._pages:
            raise answer.error(
                "the list does not grow, but is said to go on: its `next` links go round in a circle. Run again later"
            )
        if self._most and self._rows > 2 * self._most + _SOME:
            raise answer.error(
                f"the list has {self._rows} rows so far, but counts {self._most} itself. Run again later"
            )
        if time.monotonic() > self._until:
            raise answer.error(f"the list had not ended after {self._seconds:.0f} seconds. Run again later")
        self._pages.add(page)


class Client:
    """The documented requests of one tenant.

    Args:
        api_url: see `Transport`.
        token: the bearer token.
        policy: see `Policy`.
    """

    def __init__(self, api_url: str, token: Secret, policy: Policy | None = None) -> None:
        self._transport = Transport(api_url, token, policy)
        self.policy = self._transport.policy
        self.list_was_cached = False

    @property
    def clock_skew(self) -> float | None:
        """Seconds that the service's clock is ahead of this machine's, as its last answer told; see `Transport`."""
        return self._transport.clock_skew

    # Custom Apps

    def list_custom_apps(self) -> tuple[CustomApp, ...]:
        """Every Custom App of the tenant, all pages, each once; `list_was_cached` tells whether it may be out of date.

        An app that is deleted while the pages are read moves another one from an unread page to one that was read;
        the service's own count then does not fit, or its last page is missing, and the list is read again.
        """
        apps: dict[str, CustomApp] = {}
        for number in range(1, _LISTINGS + 1):
            counts: list[int | None] = []
            self.list_was_cached = False
            try:
                apps = {app.id: app for app in self._pages(_APPS, answers.custom_app, counts)}
            except NotFoundError:  # a last page that is there no longer
                if number == _LISTINGS or not counts:
                    raise
                continue
            if set(counts) <= {len(apps), None}:
                break
        return tuple(apps.values())

    def get_custom_app(self, app_id: str) -> CustomApp:
        """One Custom App.

        Raises:
            NotFoundError: it is not there (any more).
        """
        return self._read(f"{_APPS}/{_segment(app_id)}", answers.custom_app)

    def request_upload(self, name: str) -> UploadTicket:
        """An upload ticket for a file of that name; nothing changes in the tenant until an app names its key."""
        answer = self._ask("POST", f"{_APPS}/upload", fields={"name": name})
        ticket = answers.upload_ticket(Fields(answer, answer.json()))
        if not safe_address(ticket.post_url):
            raise answer.error("the store to upload to is not an https address; nothing was uploaded")
        return ticket

    def upload(
        self, ticket: UploadTicket, path: Path, progress: Progress | None = None, begun: PartialDigest | None = None
    ) -> str:
        """Send a file to the store; returns the sha256 (hex) of the bytes that were sent. For `begun` see `UploadForm`.

        Raises:
            UploadExpiredError: the ticket is too old.
            InstallerError: the file cannot be read, or changed meanwhile.
            ApiError: the store refused it.
            NetworkError: the tries are spent; nothing changed in the tenant.
        """
        with UploadForm(path, ticket.post_data, progress, begun) as form:
            try:
                return with_tries(self.policy, lambda: self._upload_once(ticket, form))
            except BusyError as busy:
                text = "the upload store has a problem; nothing was published. Run again later"
                raise busy.answer.error(text) from None

    def _upload_once(self, ticket: UploadTicket, form: UploadForm) -> str:
        form.seek(0)
        try:
            answer = self._transport.post_form(ticket.post_url, form)
        except NetworkError:
            form.check_unchanged()
            raise
        if answer.status not in (_OK, _CREATED, _NO_CONTENT):
            raise _store_refusal(answer)
        form.check_unchanged()
        return form.sha256

    def create_custom_app(self, fields: Mapping[str, FormValue], *, patient: bool = True) -> Creation:
        """Create a Custom App; sent once, and again only where the service says that it was not acted upon.

        Args:
            fields: the API's fields.
            patient: whether to ask again while the service says 503; else that is raised at once.

        Raises:
            LostAnswerError: it may or may not exist now; also where it was sent again, and then refused. List again and
                look for the `file_key`.
            RejectedError: a field was not accepted.
            StillProcessingError: the upload was still being processed when the budget was spent.
        """
        sent = resent = 0

        def say(line: str) -> None:
            nonlocal resent
            resent += 1
            tell(line)

        def send() -> Answer:
            nonlocal sent
            answer = self._transport.request("POST", _APPS, fields=_form(fields), repeat=False, say=say)
            sent += answer.sent
            return answer

        budget = self.policy.processing_budget if patient else 0.0
        try:
            app = self._written(self._expect(self._patiently(send, budget)))
        except StillProcessingError:
            raise
        except ApiError as problem:
            if resent and problem.status != _TOO_MANY_REQUESTS:  # a try before the last one may have been acted upon
                raise LostAnswerError(str(problem)) from None
            raise
        return Creation(app, sent)

    def update_custom_app(self, app_id: str, fields: Mapping[str, FormValue]) -> CustomApp:
        """Change fields of a Custom App; the same change sent twice is the same change.

        Raises: as `create_custom_app`, and NotFoundError.
        """
        address = f"{_APPS}/{_segment(app_id)}"
        send = partial(self._transport.request, "PATCH", address, fields=_form(fields), say=tell)
        answer = self._patiently(send)
        return self._written(self._expect(answer))

    def delete_custom_app(self, app_id: str) -> None:
        """Delete a Custom App; it cannot be undone."""
        answer = self._expect(self._transport.request("DELETE", f"{_APPS}/{_segment(app_id)}", say=tell))
        if answer.is_page:
            raise answer.error("a page answered in place of the service. Is a proxy or a captive portal in between?")

    # Self Service

    def list_categories(self) -> tuple[Category, ...]:
        """Every Self Service category."""
        answer = self._ask("GET", "self-service/categories")
        rows = answer.json()
        if not isinstance(rows, list):
            raise answer.error("a list of categories was expected")
        return tuple(answers.category(Fields(answer, row)) for row in rows)

    # Blueprints

    def list_blueprints(self) -> tuple[Blueprint, ...]:
        """Every Blueprint."""
        return tuple(self._pages("blueprints", answers.blueprint))

    def list_blueprint_items(self, blueprint_id: str) -> tuple[tuple[str, str], ...]:
        """Id and name of every Library Item of a Blueprint."""
        address = f"blueprints/{_segment(blueprint_id)}/list-library-items"
        return tuple(self._pages(address, lambda row: (row.text("id"), row.text_or("name", ""))))

    def assign_library_item(self, blueprint_id: str, item_id: str, node_id: str | None = None) -> None:
        """Assign a Library Item to a Blueprint, or to a node of an Assignment Map; being there already is fine.

        Raises:
            RejectedError: the node is missing, or given for a Classic Blueprint.
        """
        address = f"blueprints/{_segment(blueprint_id)}/assign-library-item"
        node = {} if node_id is None else {"assignment_node_id": node_id}
        try:
            answer = self._ask("POST", address, json={"library_item_id": item_id, **node})
        except RejectedError as problem:
            if not any(words in problem.body for words in _THERE_ALREADY):
                raise
        else:
            assigned = answer.json()
            if isinstance(assigned, list) and item_id not in assigned:
                raise answer.error("the Blueprint's items, which it lists, lack the one that was assigned. Run again")

    # Library Items and Macs

    def library_item_statuses(self, item_id: str) -> Iterator[StatusRecord]:
        """The status of a Library Item on each Mac, page by page."""
        return self._pages(f"library/library-items/{_segment(item_id)}/status", answers.status_record)

    def library_item_activity(self, item_id: str) -> Iterator[Fields]:
        """What was done to a Library Item, newest first, page by page."""
        return self._pages(f"library/library-items/{_segment(item_id)}/activity", lambda row: row)

    def list_vulnerabilities(self) -> Iterator[Vulnerability]:
        """What the service has found on Macs, page by page."""
        return self._numbered("vulnerability-management/vulnerabilities", answers.vulnerability)

    def affected_software(self, cve: str) -> Iterator[AffectedSoftware]:
        """What has a vulnerability, with its versions, page by page."""
        address = f"vulnerability-management/vulnerabilities/{_segment(cve)}/software"
        return self._numbered(address, answers.affected_software)

    def check_in(self, mac_id: str) -> None:
        """Ask a Mac to check in, which has it run the audit scripts; asked twice, it does so twice at the most."""
        address = f"devices/{_segment(mac_id)}/action/dailycheckin"
        self._expect(self._patiently(partial(self._transport.request, "POST", address, say=tell)))

    # How it is done

    def close(self) -> None:
        """Close the connections; they are made again when something is sent."""
        self._transport.close()

    def wait(self, seconds: float) -> None:
        """Wait."""
        self._transport.wait(seconds)

    def _read(self, address: str, parse: Callable[[Fields], Value]) -> Value:
        answer = self._ask("GET", address)
        return parse(Fields(answer, answer.json()))

    def _pages(
        self, address: str, parse: Callable[[Fields], Value], counts: list[int | None] | None = None
    ) -> Iterator[Value]:
        """The rows of every page; the `count` that each page tells goes to `counts`."""
        check = _PageCheck(self.policy.list_time)
        following: str | None = address

        def take(answer: Answer, text: str, row: object) -> tuple[int, Value]:
            return hash(text), parse(Fields(answer, row, text))

        while following is not None:
            answer = self._ask("GET", following, take=take)
            page = Fields(answer, answer.json())
            page.has_list("results", len(answer.rows))
            yield from (value for _, value in answer.rows)
            count = page.maybe_number("count")
            if counts is not None:
                counts.append(count)
                self.list_was_cached |= answer.cached
            following = page.maybe_text("next")
            if following is not None:
                check.goes_on(answer, [digest for digest, _ in answer.rows], count)

    def _numbered(self, address: str, parse: Callable[[Fields], Value]) -> Iterator[Value]:
        """The rows of every page of a list that is asked for by `page` and `size`, and counts itself as `total`."""
        number, seen, check = 1, 0, _PageCheck(self.policy.list_time)
        while True:
            answer = self._ask("GET", address, params={"page": str(number), "size": str(_NUMBERED)})
            page = Fields(answer, answer.json())
            rows, total = page.objects("results"), page.maybe_number("total")
            yield from map(parse, rows)
            seen += len(rows)
            # Without a total, a page that is not full is the last one.
            if not rows or (seen >= total if total is not None else len(rows) < _NUMBERED):
                return
            check.goes_on(answer, [row.digest() for row in rows], total)
            number += 1

    def _ask(
        self,
        method: str,
        address: str,
        *,
        fields: Mapping[str, str] | None = None,
        json: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        take: Take | None = None,
    ) -> Answer:
        """A request that is safe to repeat and is answered in JSON."""
        send = partial(
            self._transport.request,
            method,
            address,
            fields=fields,
            json=json,
            params=params,
            readable=True,
            say=tell,
            take=take,
        )
        answer = self._expect(self._patiently(send))
        answer.json()
        return answer

    def _written(self, answer: Answer) -> CustomApp:
        """The app that a create or update answered with; an unreadable answer counts as lost."""
        try:
            return answers.custom_app(Fields(answer, answer.json()))
        except ApiError as problem:
            raise LostAnswerError(str(problem)) from None

    def _patiently(self, send: Callable[[], Answer], budget: float | None = None) -> Answer:
        """Send, and while the service says 503 (documented: an upload is still being processed) ask again.

        Raises:
            StillProcessingError: the budget is spent.
        """
        budget = self.policy.processing_budget if budget is None else budget
        until = time.monotonic() + budget
        wait = self.policy.first_wait
        while True:
            answer = send()
            if answer.status != _UNAVAILABLE or answer.is_page:
                return answer
            left = until - time.monotonic()
            if left <= 0:
                raise answer.error(
                    f"the service was still busy after {budget:.0f} seconds. What was uploaded "
                    "is kept: the next run goes on from there without uploading again",
                    StillProcessingError,
                )
            tell(f"Kandji is still processing; asking again in {spoken(min(wait, left))}")
            self._transport.wait(min(wait, left))
            wait = min(wait * 1.6, self.policy.longest_wait)

    def _expect(self, answer: Answer) -> Answer:
        """The answer, if it says that the request was done.

        Raises:
            LostAnswerError: it may have been done all the same, for this is what a gateway says of a service that
                has not answered it.
            ApiError: it was not done.
        """
        status = answer.status
        if status in (_OK, _CREATED, _NO_CONTENT):
            return answer
        if status == _NOT_FOUND:
            raise answer.error("it is not there (any more). Was it deleted in Kandji?", NotFoundError)
        if status == _BAD_REQUEST:
            raise answer.error("the service did not accept the request.", RejectedError)
        if status == _TOO_MANY_REQUESTS:
            raise answer.error("too many requests, and waiting did not help. Run again later")
        if _REQUEST_TIMEOUT < status < _SERVER_TROUBLE:
            raise answer.error("an answer that its documentation does not name. Run again later")
        problem = answer.error("the service has a problem. Run again later; nothing is lost")
        raise LostAnswerError(str(problem))


def _store_refusal(answer: Answer) -> KandjiUploaderError:
    """What the store's refusal means: `BusyError` where sending the same form again makes sense."""
    if "expired" in answer.text.lower():
        return answer.error(
            "the upload ticket has expired, more than once. Is the line too slow for the file? Run again",
            UploadExpiredError,
        )
    if answer.status < 500 and answer.status != 429 and "RequestTimeout" not in answer.text:  # noqa: PLR2004
        return answer.error("the upload store refused the file; nothing was published")
    return BusyError(answer)


def _form(fields: Mapping[str, FormValue]) -> dict[str, str]:
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in fields.items()}


def _segment(value: str) -> str:
    """A value as one segment of a path, whatever it holds."""
    return quote(value, safe="")
