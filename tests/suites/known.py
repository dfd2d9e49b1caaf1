"""What a proxy cannot keep: (suite, mode, pattern of node ids, reason). Everything else is a defect."""

_NAME = "compares application_name, to which client_in_application_name adds the client's address: that is its purpose"

KNOWN = [
    ("asyncpg", "name", "tests/test_pool.py::TestPool::test_pool_set_connection_args", _NAME),
    ("psycopg", "name", "tests/pq/test_pgconn.py::test_parameter_status", _NAME),
]
