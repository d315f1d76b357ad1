"""The data plane: raw bytes in, one upstream request, one streamed response.

Read in this order: ``rim`` (parse and refuse), ``proxy`` (forward one request), ``upstream`` (the other
side), ``rewriting`` (which header fields pass), ``bridge`` (our own pages, by WSGI), ``link`` (put in by
byte search), ``verdict`` (what the plane asks of interception), ``intercept`` (the answer).
"""
