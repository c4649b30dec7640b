"""News on its way through Airflow: the collector's event, the run that it starts, and what the tasks remember.

Tasks run as `dag.test()` runs them, with Airflow's own execution API and metadata database; what the scheduler would do
with the event is asked of its own query.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.cloud.bigquery import Client

from drawsguard.settings import REPOSITORY, get_settings
from local.feed.server import FeedServer, FeedState
from local.feed.simulator import NO_FAULTS
from tests.integration.draws_warehouse import draws_warehouse
from tests.integration.sync_support import target_rows

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack, "V041__check_log") as client:
        yield client


@pytest.fixture
def feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FeedState]:
    """A feed whose clock stands still at the present time."""
    state = FeedState.open(tmp_path / "feed", rates=NO_FAULTS, start=datetime.now(UTC), speed=0)
    server = FeedServer(("127.0.0.1", 0), state)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AIRFLOW_CONN_DRAW_FEED_DEFAULT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("DRAWSGUARD_COLLECT_POLL_SECONDS", "2")
    monkeypatch.setenv("DRAWSGUARD_COLLECT_WATCH_SECONDS", "1")
    monkeypatch.setenv("DRAWSGUARD_SYNC_LOOKBACK_MINUTES", "180")  # the feed may stand in its maintenance
    get_settings.cache_clear()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def dags() -> dict[str, Any]:
    """The DAGs, known to the scheduler as well."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, cwd=REPOSITORY, capture_output=True)

    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.utils.session import create_session

    found: dict[str, Any] = {}
    with create_session() as session:
        DagBundlesManager().sync_bundles_to_db(session=session)
        session.commit()
        for name in ("draw_collect", "draw_news"):
            bag = DagBag(str(REPOSITORY / "dags" / "draws" / f"{name}.py"), bundle_name="dags-folder")
            assert not bag.import_errors
            sync_bag_to_db(bag, "dags-folder", None, session=session)
            session.commit()
            found[name] = bag.dags[name]
    for dag in found.values():
        for task in dag.tasks:
            task.retries = 0
    return found


def unpause_all(session: Any) -> None:
    from airflow.models import DagModel
    from sqlalchemy import update

    session.execute(update(DagModel).values(is_paused=False))
    session.commit()


def events(session: Any) -> list[str]:
    """Return the assets of the draws' events, in order."""
    from airflow.models.asset import AssetEvent, AssetModel
    from sqlalchemy import select

    found = select(AssetModel.name).join(AssetEvent, AssetEvent.asset_id == AssetModel.id)
    # Other tests of this process run DAGs of the points on the same database.
    of_draws = AssetModel.name.in_(("drawsguard.draws", "pc28.draws"))
    return list(session.scalars(found.where(of_draws).order_by(AssetEvent.id)))


def due(session: Any) -> bool:
    """Return whether the scheduler would create a run of draw_news now."""
    from airflow.models import DagModel

    _, triggered = DagModel.dags_needing_dagruns(session)
    session.rollback()
    return "draw_news" in triggered


def test_what_is_collected_is_synced_by_a_run_of_its_own(client: Client, feed: FeedState, dags: dict[str, Any]) -> None:
    from airflow.models import DagRun
    from airflow.models.asset_state_store import AssetStateStoreModel
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from sqlalchemy import select, update

    with create_session() as session:
        unpause_all(session)
        assert not due(session)
        assert dags["draw_collect"].test().state == "success"
        session.expire_all()
        assert events(session) == ["drawsguard.draws"]
        assert due(session)

        # News that arrives while a run is on waits, however much it is, and is one run afterwards.
        assert dags["draw_news"].test().state == "success"
        session.expire_all()
        assert target_rows(client)
        assert events(session) == ["drawsguard.draws", "pc28.draws"], "the features hear of it"
        session.execute(update(DagRun).where(DagRun.dag_id == "draw_news").values(state=DagRunState.RUNNING))
        session.commit()
        assert not due(session)
        session.execute(update(DagRun).where(DagRun.dag_id == "draw_news").values(state=DagRunState.SUCCESS))
        session.commit()
        assert due(session)

        # Nothing new: the watch ends, nobody hears of anything, and a further run writes nothing.
        assert dags["draw_collect"].test().state == "success"
        assert dags["draw_news"].test().state == "success"
        session.expire_all()
        assert events(session) == ["drawsguard.draws", "pc28.draws"]
        remembered = set(session.scalars(select(AssetStateStoreModel.key)))
        assert {"rest of source.draws", "rest of target.draws"} <= remembered
