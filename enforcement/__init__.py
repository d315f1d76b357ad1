"""Rules and the gate. No network; decisions are pure and take the time as an argument.

Read in this order: ``policy`` (the document), ``requirement`` (what is missing), ``grace`` (postponements),
``decision`` (Release, Interrupt, Deny), ``current_policy`` (the one in force), ``gate`` (the same, with the
store around them); then what faults need: ``breaker``, ``fault_audit``, ``satisfied``.

May import store.
"""
