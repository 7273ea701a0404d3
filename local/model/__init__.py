"""The offline model: a small server that speaks OpenAI's two protocols, with no network and no weights.

`intents` holds the sentences that it understands, as a table; `conversation` decides what comes next; `rules` refuses
what OpenAI refuses; `protocols` reads requests and writes answers; `server` is the HTTP.
"""
