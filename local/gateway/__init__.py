"""Plays an API Gateway HTTP API: the routes of `template.yaml`, over HTTP, on this machine only.

`template` says which routes there are, `authorizer` who calls, `events` and `responses` are the two sides of the
payload format, and `server` is the HTTP.
"""
