"""A package, so that its fixtures end with its last test: Playwright's event loop would disturb later tests."""
