"""A pytest plugin for asyncpg's suite: its tests with a proxy of their own, which lose connections on purpose, run
against the given server, too. The suite leaves them out for a server that it has not started."""

import os

from asyncpg import _testbase, cluster


def pytest_configure():
    _testbase._default_cluster = cluster.RunningCluster(host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]))


def pytest_pycollect_makeitem(obj):
    if isinstance(obj, type) and issubclass(obj, _testbase.ProxiedClusterTestCase):
        obj.__unittest_skip__ = False
