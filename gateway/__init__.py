"""Everything that speaks HTTP to people, and the only place that wires.

Read in this order: ``app`` (the composition root), ``services``, ``settings``; then ``plane`` (bytes in,
bytes out: the proxy in front of the identity provider), ``pages`` (what people see), ``cli``.

May import all.
"""
