"""The gate: what other programs and desks tell a recorder, over HTTP (docs/facts-api.md).

Hostile text comes here and goes no further: a process and a user of its own, without keys, sound or
numbers of callers. It asks the recorder over the control socket, and carries out what that orders.
"""
