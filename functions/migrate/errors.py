"""Why a migration did not happen, in words that a person at the pipeline can act on."""


class MigrateError(Exception):
    """Base of every error that the function ends with; its text is free of secrets."""


class InvalidEventError(MigrateError):
    """Raised when the event does not ask for an action in the form that it needs."""


class SchemaMismatchError(MigrateError):
    """Raised when the database is not what the models, or the contract, say."""


class MigrationFailedError(MigrateError):
    """Raised for every other failure, with the failure's own words; the database is as it was before."""
