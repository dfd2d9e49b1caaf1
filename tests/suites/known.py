"""What a proxy cannot keep: (suite, mode, pattern of node ids, reason). Everything else is a defect."""

KNOWN = [
    ("asyncpg", "name", "tests/test_pool.py::TestPool::test_pool_set_connection_args",
     "compares application_name, to which client_in_application_name adds the client's address: that is its purpose"),
]
