"""The feed over HTTP: ``python -m local.feed.server --host 127.0.0.1 --port 19060 --state DIR``.

=================================  =================================================================================
``GET /api/kj.json?nbr=100``       the newest draws, newest first (at most 500)
``GET /api/history.json?from=&to=``  every draw of ``[from, to)`` (ISO 8601), oldest first; ``page`` from 1, ``size``
``GET /health``                    200 when it serves; the anchor, seed and newest period
``GET /truth?from=&to=``           not part of a feed, for tests and the demo: the correct values as published by now;
                                   ``as_of=`` another moment, ``as_of=final`` all draws with their final values
``GET|POST|DELETE /faults``        the faults in force; add one; end all. A fault: ``{"kind": "outage" | "error" |
                                   "garbage" | "empty" | "hang", "seconds": 60}`` or ``{"kind": …, "requests": 3}``
=================================  =================================================================================

What determines the draws is written to ``state/feed.json`` at the first start, so that a restart serves the same draws.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.feed.simulator import Era, FaultRates, FeedConfig, Simulator, Truth

FAULT_KINDS = ("outage", "error", "garbage", "empty", "hang")

#: A hanging answer ends after this, so that no thread outlives its client for long (seconds).
HANG_SECONDS = 30


@dataclass(frozen=True)
class Clock:
    """A clock that runs ``speed`` times as fast as the real one, starting at ``simulated`` when that shows ``real``."""

    real: datetime
    simulated: datetime
    speed: float = 1.0

    def now(self) -> datetime:
        return self.simulated + (datetime.now(UTC) - self.real) * self.speed


@dataclass
class Fault:
    """A fault of whole answers, until a moment (real time) or for a number of requests."""

    kind: str
    until: datetime | None = None
    requests: int | None = None

    def in_force(self) -> bool:
        return (self.until is None or datetime.now(UTC) < self.until) and (self.requests is None or self.requests > 0)


class FeedState:
    """The simulator, its clock and the faults in force, persisted in one file."""

    def __init__(self, path: Path, config: FeedConfig, clock: Clock) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.clock = clock
        self.simulator = Simulator(config)
        self._faults: list[Fault] = []

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        seed: int = 28,
        live_interval: float = 210,
        history_days: float = 3,
        speed: float = 1.0,
        start: datetime | None = None,
        rates: FaultRates | None = None,
        outages: tuple[tuple[datetime, datetime], ...] = (),
        answer_fault_rate: float = 0.0,
    ) -> FeedState:
        """Return the state kept in ``directory``, made from the arguments at the first start.

        Later starts keep everything that determines past draws. A ``live_interval`` that differs from the last one
        begins a new era, at once or with the next draw that it allows.

        :param live_interval: seconds between draws from now on; 210 is the ordinary calendar with its maintenance.
        :param history_days: the feed begins this many days before the first start.
        :param speed: of the clock; 1 is real time.
        :param start: what the clock shows at the first start (default: the real time).
        """
        path = directory / "feed.json"
        if path.exists():
            state = cls._read(path)
        else:
            real = datetime.now(UTC)
            clock = Clock(real, start or real, speed)
            config = FeedConfig(
                seed=seed,
                since=clock.simulated - timedelta(days=history_days),
                rates=rates or FaultRates(),
                outages=outages,
                answer_fault_rate=answer_fault_rate,
            )
            state = cls(path, config, clock)
        state._live(live_interval)
        directory.mkdir(parents=True, exist_ok=True)
        state._save()
        return state

    def _live(self, interval: float) -> None:
        config = self.simulator.config
        current = config.eras[-1].interval_seconds if config.eras else config.interval_seconds
        if interval != current:
            soon = self.clock.now().replace(microsecond=0) + timedelta(seconds=1)
            # Draws that are closer together than the cadence contradict each other, and one would not be collected.
            before = self.simulator.calendar.periods(soon - timedelta(days=1), soon)[-1]
            earliest = self.simulator.calendar.locate(before)[0] + timedelta(seconds=interval)
            start = max(soon, earliest, *(era.start for era in config.eras))
            self.simulator = Simulator(replace(config, eras=(*config.eras, Era(start, interval))))

    # --- faults -------------------------------------------------------------------------------------
    def faults(self) -> list[Fault]:
        with self._lock:
            self._faults = [fault for fault in self._faults if fault.in_force()]
            return list(self._faults)

    def add_fault(self, kind: str, seconds: float | None, requests: int | None) -> None:
        """Put a fault in force, for seconds of real time or for a number of requests.

        :raises ValueError: when the kind is unknown or neither limit is given.
        """
        if kind not in FAULT_KINDS:
            raise ValueError(f"kind is {kind!r}; it is one of {', '.join(FAULT_KINDS)}")
        if not seconds and not requests:
            raise ValueError("a fault ends: give seconds or requests")
        until = datetime.now(UTC) + timedelta(seconds=float(seconds)) if seconds else None
        with self._lock:
            self._faults.append(Fault(kind, until, int(requests) if requests else None))
            self._save()

    def clear_faults(self) -> None:
        with self._lock:
            self._faults = []
            self._save()

    def take_fault(self) -> str | None:
        """Return the kind of fault that hits the current request and count it."""
        with self._lock:
            for fault in self._faults:
                if fault.in_force():
                    if fault.requests is not None:
                        fault.requests -= 1
                        self._save()
                    return fault.kind
        return self.simulator.answer_fault(self.clock.now())

    # --- file ---------------------------------------------------------------------------------------
    def _save(self) -> None:
        stored = {
            "config": asdict(self.simulator.config),
            "clock": asdict(self.clock),
            "faults": [asdict(fault) for fault in self._faults],
        }
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(stored, default=datetime.isoformat, indent=1))
        draft.replace(self._path)

    @classmethod
    def _read(cls, path: Path) -> FeedState:
        moment = datetime.fromisoformat
        stored = json.loads(path.read_text())
        config = stored["config"]
        config["since"] = moment(config["since"]) if config["since"] else None
        config["eras"] = tuple(Era(moment(era["start"]), era["interval_seconds"]) for era in config["eras"])
        config["outages"] = tuple((moment(start), moment(end)) for start, end in config["outages"])
        rates: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in config["rates"].items()}
        config["rates"] = FaultRates(**rates)
        clock = stored["clock"]
        state = cls(
            path,
            FeedConfig(**config),
            Clock(moment(clock["real"]), moment(clock["simulated"]), clock["speed"]),
        )
        for fault in stored["faults"]:
            state._faults.append(
                Fault(fault["kind"], moment(fault["until"]) if fault["until"] else None, fault["requests"])
            )
        return state


class FeedServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], state: FeedState) -> None:
        super().__init__(address, _Handler)
        self.state = state


class _Handler(BaseHTTPRequestHandler):
    server: FeedServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        pages: dict[str, Callable[[dict[str, str]], Any]] = {
            "/api/kj.json": self._latest,
            "/api/history.json": self._history,
            "/health": self._health,
            "/truth": self._truth,
            "/faults": self._show_faults,
        }
        if url.path not in pages:
            self._send(HTTPStatus.NOT_FOUND, {"message": f"no page {url.path}"})
        elif not (url.path.startswith("/api/") and self._befallen()):
            self._answer(lambda: pages[url.path](query))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(lambda: self._add_fault(body))

    def do_DELETE(self) -> None:
        self.server.state.clear_faults()
        self._send(HTTPStatus.OK, {"message": "success"})

    # --- pages --------------------------------------------------------------------------------------
    def _latest(self, query: dict[str, str]) -> dict[str, Any]:
        limit = min(max(int(query.get("nbr", 100)), 1), 500)
        return {"message": "success", "data": self._state.simulator.visible(self._state.clock.now(), limit)}

    def _history(self, query: dict[str, str]) -> dict[str, Any]:
        start, end = _moment(query["from"]), _moment(query["to"])
        page, size = int(query.get("page", 1)), min(max(int(query.get("size", 1000)), 1), 5000)
        now = self._state.clock.now()
        # Pages are cut by period, so that a draw published between two requests shifts no other page.
        periods = self._state.simulator.periods(start, min(end, now))
        rows = self._state.simulator.history_of(periods[(page - 1) * size : page * size], now)
        return {"message": "success", "page": page, "pages": max(1, -(-len(periods) // size)), "data": list(rows)}

    def _health(self, _query: dict[str, str]) -> dict[str, Any]:
        simulator, now = self._state.simulator, self._state.clock.now()
        newest = simulator.periods(now - timedelta(days=1), now)
        return {
            "status": "ok",
            "now": now.isoformat(),
            "since": simulator.config.since.isoformat() if simulator.config.since else None,
            "seed": simulator.config.seed,
            "newest_period": newest[-1] if newest else None,
        }

    def _truth(self, query: dict[str, str]) -> dict[str, Any]:
        stated = query.get("as_of")
        as_of = None if stated == "final" else _moment(stated) if stated else self._state.clock.now()
        truth = self._state.simulator.truth(_moment(query["from"]), _moment(query["to"]), as_of)
        return {"as_of": as_of.isoformat() if as_of else None, "data": [_truth_row(draw) for draw in truth]}

    def _show_faults(self, _query: dict[str, str]) -> dict[str, Any]:
        return {"faults": [asdict(fault) for fault in self._state.faults()]}

    def _add_fault(self, body: bytes) -> dict[str, Any]:
        fault = json.loads(body)
        self._state.add_fault(fault.get("kind"), fault.get("seconds"), fault.get("requests"))
        return self._show_faults({})

    # --- answering ----------------------------------------------------------------------------------
    @property
    def _state(self) -> FeedState:
        return self.server.state

    def _answer(self, page: Callable[[], Any]) -> None:
        try:
            self._send(HTTPStatus.OK, page())
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            self._send(HTTPStatus.BAD_REQUEST, {"message": f"{type(error).__name__}: {error}"})

    def _befallen(self) -> bool:
        """Answer with the fault in force, if there is one."""
        match self._state.take_fault():
            case None:
                return False
            case "outage":
                self._send(HTTPStatus.SERVICE_UNAVAILABLE, {"message": "maintenance"})
            case "error":
                self._send(HTTPStatus.INTERNAL_SERVER_ERROR, "<h1>Internal Server Error</h1>")
            case "garbage":
                self._send(HTTPStatus.OK, '<html>welcome {"message":"succ')
            case "empty":
                self._send(HTTPStatus.OK, "")
            case "hang":
                time.sleep(HANG_SECONDS)
                self.close_connection = True
        return True

    def _send(self, status: HTTPStatus, content: Any) -> None:
        text = (
            content if isinstance(content, str) else json.dumps(content, default=datetime.isoformat, ensure_ascii=False)
        )
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(content, str) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Do not log successful requests: there are several a minute."""
        if str(code) != "200":
            super().log_request(code, size)


def _moment(stated: str) -> datetime:
    moment = datetime.fromisoformat(stated)
    if moment.tzinfo is None:
        raise ValueError(f"{stated} has no offset")
    return moment


def _truth_row(draw: Truth) -> dict[str, Any]:
    return asdict(draw)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=19060)
    parser.add_argument("--state", type=Path, required=True, help="folder that keeps the seed, the anchor and faults")
    parser.add_argument("--seed", type=int, default=28)
    parser.add_argument("--live-interval", type=float, default=210, help="seconds between draws from now on")
    parser.add_argument(
        "--history-days", type=float, default=3, help="the feed begins this long before the first start"
    )
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster than real the feed's clock runs")
    arguments = parser.parse_args()
    state = FeedState.open(
        arguments.state,
        seed=arguments.seed,
        live_interval=arguments.live_interval,
        history_days=arguments.history_days,
        speed=arguments.speed,
    )
    with FeedServer((arguments.host, arguments.port), state) as server:
        print(f"PC28 feed on http://{arguments.host}:{arguments.port}, state in {arguments.state}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
