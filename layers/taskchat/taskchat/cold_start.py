"""The garbage collector during import. A function imports this module first and calls `imports_done` last."""

import gc

# Objects that are made at import stay. Collecting among them takes a tenth of the import's time.
gc.disable()


def imports_done() -> None:
    """Collect garbage from now on, without the objects that exist already (`gc.freeze`)."""
    gc.freeze()
    gc.enable()
