"""The offline model: a small server that speaks the Chat Completions protocol, with no network and no weights.

`intents` holds what it understands, as a table; `conversation` decides what comes next; `server` is the HTTP.
"""
