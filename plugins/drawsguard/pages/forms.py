"""Forms of the pages: only what a page of ours showed to the same person is acted on.

A form carries a token that holds for the person it was shown to, for some hours. Beside that the browser has to say
that the request comes from our own address: `Sec-Fetch-Site`, or `Origin` where it does not know that header.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import FormData

from drawsguard.pages.site import Person, Site
from drawsguard.settings import get_settings

#: A form may be sent so long after it was shown (seconds); a page that is open renews it.
TOKEN_SECONDS = 12 * 3600
#: The largest form without a file, and what is around a file (bytes).
FORM_BYTES = 64 << 10


class ForgedRequestError(Exception):
    """The request was not made with a form that a page showed to this person."""


class TooLargeError(Exception):
    """The request holds more than the form may."""


def _signature(secret: bytes, issued: int, person: str) -> str:
    return hmac.new(secret, f"operations form|{issued}|{person}".encode(), hashlib.sha256).hexdigest()


def token_of(site: Site, person: Person) -> str:
    """Return the token of a form that is shown to a person now."""
    issued = int(time.time())
    return f"{issued}.{_signature(site.deeds.secret(), issued, person.name)}"


def _is_ours(request: Request) -> bool:
    """Whether the browser says that the request comes from a page of this server."""
    if (site := request.headers.get("sec-fetch-site")) is not None:
        return site == "same-origin"
    origin = urlsplit(request.headers.get("origin", ""))
    # Behind a proxy the server may know itself by another name than the browser does.
    known = {request.headers.get("host", ""), urlsplit(get_settings().ui_base_url).netloc}
    return origin.scheme in ("http", "https") and origin.netloc in known


def _is_token(site: Site, person: Person, token: object) -> bool:
    issued, _, signature = token.partition(".") if isinstance(token, str) else ("", "", "")
    if not (issued.isascii() and issued.isdigit() and len(issued) < 12):
        return False
    age = time.time() - int(issued)
    expected = _signature(site.deeds.secret(), int(issued), person.name)
    return -60 <= age <= TOKEN_SECONDS and hmac.compare_digest(expected.encode(), signature.encode())


async def form_of(request: Request, site: Site, person: Person, file_bytes: int = 0) -> FormData:
    """Return the form that was sent.

    :param file_bytes: what a file in it may have; 0: it has none.
    :raises ForgedRequestError: when it was not a page of ours that sent it, or not this person's, or an old one.
    :raises TooLargeError: when it is larger than a form may be, or does not say how large it is.
    """
    if not _is_ours(request):
        raise ForgedRequestError
    length = request.headers.get("content-length", "")
    if not (length.isascii() and length.isdigit() and len(length) < 16) or int(length) > file_bytes + FORM_BYTES:
        raise TooLargeError
    form = await request.form(max_files=1 if file_bytes else 0, max_fields=10)
    if not _is_token(site, person, form.get("token")):
        raise ForgedRequestError
    return form


def text_of(form: FormData, name: str) -> str:
    """Return a field of a form as text without the blanks around it; what is missing or a file is empty."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""
