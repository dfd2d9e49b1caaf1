"""A test lab on loopback addresses or in network namespaces: real PostgreSQL, Patroni and its store, with a proxy.

Read in this order: settings (what a lab looks like), network, process (starting and ending processes), store, node,
cluster, faults, proxy; then clients, watch, drills (the table) and drill (what a client sees during a fault); lag,
timeline and identity (faults that need surgery); view and command (what deploy/demo shows). A lab keeps all its files under one directory, `Settings.root`.
"""
