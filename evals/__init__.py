"""Evals: conversations with the real chat path, judged by the database's final state and the reply."""
