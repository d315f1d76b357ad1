"""Rules and the gate. No network; decisions are pure and take the time as an argument.

Read in this order: ``policy`` (the document), ``requirement`` (what is missing), ``grace``
(postponements), ``decision`` (Release, Interrupt, Deny), ``gate`` (the same, with the store around it).

May import store.
"""
