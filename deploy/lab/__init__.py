"""A lab of real parts: PostgreSQL, Patroni and its store, and a proxy in front, on loopback addresses.

Read in this order: settings (what a lab looks like), process (what runs and how it ends), store, node,
cluster, faults, proxy; then clients, watch and drill (what a client sees during a fault), view and
command (what deploy/demo shows). Everything a lab makes lies under one directory, `Settings.root`.
"""
