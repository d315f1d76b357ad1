"""Interception: is this answer a sign-in, whose, and what becomes of it? The plane carries, this decides.

The two know of each other only what `gateway.plane.verdict` says.
"""
