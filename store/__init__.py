"""What Sparekey remembers: SQL for what lasts, Valkey or Redis for what expires.

Read in this order: ``models`` (the tables), ``database`` (one transaction per request), ``people``,
``authenticators``, ``policies``, ``audit``; then ``expiring`` (the connection and its scripts),
``attempts``, ``counters``, ``held``; last ``vault`` (keyring, sealing, keyed hashes) and ``jobs``.

Imports none of ours.
"""
