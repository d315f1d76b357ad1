"""Password writeback through agents: processes inside the network that only dial out.

The gateway seals an order to the agents' keys and signs it (`order`, `envelope`); a channel carries it
(`channel`: `streams` or `https`); an agent checks it against its own settings (`boundary`), does it once
(`record`, `agent`) and signs what came of it (`answer`). `remote` is the `PasswordWriter` that the gateway
uses; `roster` is how it knows its agents.

Read in this order: order, envelope, channel, agent, remote. May import `idp_plugin` and nothing else of
ours; with the base dependencies alone it runs as `sparekey agent`.
"""
