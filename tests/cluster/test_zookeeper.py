"""A cluster of two nodes with ZooKeeper."""

import pytest

from conftest import boot
from lab import drill, proxy


@pytest.fixture
def pair():
    made = boot("zookeeper", base=25, nodes=2, dcs="zookeeper", proxy_host="127.0.0.25", pg_port=15432,
                rest_port=18008, client_port=12181, write_port=15000, read_port=15001, page_port=17000)
    yield made
    made.down()


def test_two_nodes_with_zookeeper_switch_over(pair):
    steer = proxy.Pgsteer(pair)
    steer.start()
    seen = drill.run_round(pair, steer, "switchover", sslmode="disable")
    assert (seen["lost"], seen["stale_writes"], seen["connect_errors"]) == (0, 0, {})
    assert steer.stop() == 0
