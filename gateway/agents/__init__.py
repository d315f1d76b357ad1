"""The gateway's side of the writeback agents: who joined, who is well, and the endpoint that they call.

Read in this order: writeback, calls, endpoint. May import everything.
"""
