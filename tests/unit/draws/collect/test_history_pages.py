"""The history page by page: every page that can be read is read, whatever became of the others."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from drawsguard.draws.collect.feed import AnswerNotJsonError, AnswerPagesError, FeedError, FeedHttpError
from drawsguard.draws.window import Window
from hooks.draw_feed_hook import BAD_PAGES, DrawFeedHook

START = datetime(2025, 10, 1, tzinfo=UTC)
SIZE = 2

#: Page → HTTP status and body.
Pages = Callable[[int], tuple[int, str]]


def row(period: int) -> dict[str, Any]:
    return {"nbr": period, "number": "8+8+4", "date": "2025-10-01", "time": f"10:{period:02}:00"}


def page(number: int, pages: object, rows: int = SIZE) -> tuple[int, str]:
    data = [row(number * SIZE + at) for at in range(rows)]
    return 200, json.dumps({"message": "success", "data": data} | ({} if pages is ... else {"pages": pages}))


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Pages], tuple[list[int], list[int], FeedError | None]]]:
    """Return what reads a history of these pages: the pages asked for, the periods read, how it ended."""
    asked: list[int] = []
    answers: list[Pages] = []

    class Feed(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            number = int(parse_qs(urlsplit(self.path).query)["page"][0])
            asked.append(number)
            status, body = answers[-1](number)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            """Nothing on the console."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Feed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AIRFLOW_CONN_DRAW_FEED_DEFAULT", f"http://127.0.0.1:{server.server_port}")

    def read(pages: Pages) -> tuple[list[int], list[int], FeedError | None]:
        asked.clear()
        answers.append(pages)
        found: list[int] = []
        try:
            for answer in DrawFeedHook(retry_pause=0).history(START, START + timedelta(days=1), SIZE):
                found += [draw.period for draw in answer.draws]
        except FeedError as error:
            return asked, found, error
        return asked, found, None

    yield read
    server.shutdown()


@pytest.mark.parametrize("pages", [3, "3", 3.0, " 3.0 ", "３"])
def test_a_number_of_pages_in_any_spelling_is_that_number(ask: Any, pages: object) -> None:
    assert ask(lambda number: page(number, pages)) == ([1, 2, 3], [2, 3, 4, 5, 6, 7], None)


def test_without_a_number_of_pages_a_full_page_has_another_one_behind_it(ask: Any) -> None:
    assert ask(lambda number: page(number, ..., SIZE if number < 3 else 1)) == ([1, 2, 3], [2, 3, 4, 5, 6], None)


@pytest.mark.parametrize("bad", [1, 2, 3])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((200, "<html>welcome</html>"), AnswerNotJsonError),
        ((404, "gone"), FeedHttpError),
        (page(9, "x"), AnswerPagesError),
    ],
)
def test_a_bad_page_is_named_and_keeps_no_other_from_being_read(
    ask: Any, bad: int, answer: tuple[int, str], error: type[FeedError]
) -> None:
    asked, found, failure = ask(lambda number: answer if number == bad else page(number, 3))
    assert asked == [1, 2, 3]
    assert found == [period for number in (1, 2, 3) if number != bad for period in (2 * number, 2 * number + 1)]
    assert isinstance(failure, error)


def test_a_feed_that_refuses_every_page_is_not_asked_for_ever(ask: Any) -> None:
    asked, found, failure = ask(lambda number: (200, "<html>") if number > 1 else page(1, 1000))
    assert asked == list(range(1, BAD_PAGES + 2))
    assert found == [2, 3]
    assert isinstance(failure, AnswerNotJsonError)


def test_pieces_of_a_window_are_the_window() -> None:
    whole = Window(START, START + timedelta(days=70))
    pieces = whole.pieces(timedelta(days=30))
    assert [(piece.end - piece.start).days for piece in pieces] == [30, 30, 10]
    assert pieces[0].start == whole.start
    assert pieces[-1].end == whole.end
    assert all(one.end == other.start for one, other in pairwise(pieces))
    assert whole.pieces(timedelta(days=70)) == [whole]
