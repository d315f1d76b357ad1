"""Journeys performed over HTTP as a browser would, and told step by step.

Run by `sparekey demo --walk` as a program of its own. It imports nothing of Sparekey's, so that it can only
find what anybody would find: pages, links, forms, and the mail in the demo's outbox. Read `main_job` first;
`visitor` is what its people have in common.
"""
