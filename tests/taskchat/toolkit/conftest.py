"""Tools over a database whose changes are rolled back."""

from tests.support import rolled_back, tool_calls

connection = rolled_back.connection
shared_database = rolled_back.shared_database
use = tool_calls.use
