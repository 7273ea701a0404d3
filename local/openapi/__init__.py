"""The OpenAPI document of the whole API and its rendered reference, both made at build time by `make openapi`."""
