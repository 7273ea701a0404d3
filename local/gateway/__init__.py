"""Stands in for an API Gateway HTTP API: the routes of `template.yaml`, over HTTP, on loopback only.

`template` reads the routes and `authorizer` the token. `events` and `responses` convert between HTTP and the payload
format. `server` speaks HTTP.
"""
