"""Plays AWS Lambda: each instance of a function is a process that serves one invocation at a time.

So the functions may keep a connection between two invocations, and need not think of threads, here as there; and an
invocation that runs out of time is killed, here as there.
"""
