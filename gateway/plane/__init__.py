"""The data plane: raw bytes in, one upstream request, one streamed response.

Read in this order: ``rim`` (who answers which address), ``listener`` and ``connection`` (one listener, one
client), ``request_head`` (understood in one way, or refused), ``turn`` (one request's turn), ``proxy``
(forward it), ``upstream`` and ``response_head`` (the other side), ``rewriting`` (which header fields pass),
``bridge`` (our own pages, by WSGI), ``link`` (put in by byte search), ``observe`` (log and counts),
``verdict`` (what the plane asks of interception), ``intercept`` (the answer).
"""
