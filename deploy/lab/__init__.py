"""A test lab on loopback addresses: real PostgreSQL, Patroni and its store, with a proxy in front.

Read in this order: settings (what a lab looks like), process (starting and ending processes), store, node,
cluster, faults, proxy; then clients, watch and drill (what a client sees during a fault), view and
command (what deploy/demo shows). A lab keeps all its files under one directory, `Settings.root`.
"""
