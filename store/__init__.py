"""What Sparekey remembers: SQL for what lasts, Valkey or Redis for what expires.

Read in this order: ``vault`` (key ring, sealing, keyed digests); ``models`` (the tables) and ``database``
(one transaction per request) with ``people``, ``authenticators``, ``policies``, ``audit`` and ``spent`` in
it, whose commonest writes are ``prepared``; ``gate_facts`` (the one fast statement); then ``expiring``
(values, each changed by one atomic operation), ``counters`` (limits), ``jobs`` over ``job_queue``; last
``valkey`` (the embedded server) and ``migrations``.

Imports none of ours.
"""
