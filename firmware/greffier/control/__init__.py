"""The frozen messages of the Unix socket between the processes, its server and its client.

Normative page: docs/control-protocol.md. Nothing here knows what a recorder does: it publishes
snapshots on a :class:`greffier.control.board.Board` and takes orders from it, when it has time.
"""
