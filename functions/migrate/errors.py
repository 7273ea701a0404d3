"""Reasons why a migration did not happen, for the people who operate the pipeline."""

from collections.abc import Sequence


class MigrateError(Exception):
    """Base of every error that the function ends with; its text is free of secrets."""


class InvalidEventError(MigrateError):
    """Raised when the event does not ask for an action in the form that it needs."""


class NotConfirmedError(MigrateError):
    """Raised before a downgrade that was not confirmed. The text lists the data that it would lose."""

    def __init__(self, revision: str, losses: Sequence[str]) -> None:
        told = f"loses {'; '.join(losses)}" if losses else "loses no data"
        super().__init__(f'a downgrade to {revision} {told}. Send it with "confirm": true')


class SchemaMismatchError(MigrateError):
    """Raised when the database differs from the models or the contract, or belongs to another application."""


class MigrationFailedError(MigrateError):
    """Raised for every other failure, with the failure's own text; the database is as it was before."""
