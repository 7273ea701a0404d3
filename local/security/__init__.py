"""The security scanners of `make lint`."""
