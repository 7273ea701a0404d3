"""Taskchat: a chat assistant that manages a person's tasks."""
