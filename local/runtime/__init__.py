"""Plays AWS Lambda: each instance of a function is a process that serves one invocation at a time.

As in Lambda, a function may keep a connection between two invocations and needs no threads. An invocation that runs
out of time is killed.
"""
