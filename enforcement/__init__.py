"""Rules and the gate. No network; decisions are pure and take the time as an argument.

Read in this order: ``situation`` (one sign-in), ``who`` (whom a rule is for), ``policy`` (the document),
``requirement`` (what is missing), ``grace`` (postponements), ``decision`` (Release, Interrupt, Deny),
``explanation`` (which rules decide, and why), ``current_policy`` (the one in force), ``gate`` (the same, with
the store around them), ``what_if`` (told to people); then what faults need: ``breaker``, ``fault_audit``,
``satisfied``.

May import store.
"""
