"""What an observer sees on the stats address."""

import contextlib
import json

import psycopg2

from lab.wait import wait_until


def test_the_page_and_its_json_name_the_primary(cluster, steer):
    leader = cluster.wait_leader()
    status, page = steer.get("/")
    assert status == 200 and "<html" in page.lower()
    state = steer.status()
    assert state["clusters"][0]["primary"] == leader.name
    assert {node["name"] for node in state["nodes"]} == set(cluster.nodes)


def test_health_addresses(steer):
    assert steer.get("/live")[0] == 200
    assert steer.get("/ready")[0] == 200
    assert steer.get("/nonsense")[0] == 404


def test_metrics_count_sessions(steer):
    status, text = steer.get("/metrics")
    names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if line and line[0] != "#"}
    assert status == 200 and names and all(name.startswith("pgsteer_") for name in names)


def test_the_session_table_shows_who_is_connected(cluster, steer):
    leader = cluster.wait_leader()
    with contextlib.closing(psycopg2.connect(steer.write_dsn(sslmode="disable"),
                                             application_name="seen in the table")) as link:
        def row():
            rows = json.loads(steer.get("/api/v1/sessions")[1])
            rows = rows["sessions"] if isinstance(rows, dict) else rows
            return next((r for r in rows if r["application"] == "seen in the table"), None)
        seen = wait_until(row, 5, "the session in the table")
        assert (seen["node"], seen["user"], seen["database"]) == (leader.name, "app", "app")
        cursor = link.cursor()
        cursor.execute("select client_port from pg_stat_activity where pid = pg_backend_pid()")
        assert seen["local"].endswith(f":{cursor.fetchone()[0]}")
