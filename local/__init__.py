"""Stand-ins for AWS and for the model on a laptop, and the tools behind the Makefile; never deployed."""

import sys

# Here, because the modules of this package cannot even be imported by an older Python.
if sys.version_info < (3, 11):  # noqa: UP036 - a developer may have an older one
    sys.exit("taskchat: this Python is older than 3.11; name a newer one: make PYTHON=python3.13 ...")
