"""The process that carries sealed parts and the log to head office (docs/sync-protocol.md).

It holds ciphertext only, never writes the data directory, and believes nothing that a broker says.
``installation`` is no part of that process but of the command that enrols a box: the one module
that writes there, keys/head-office.pub.
"""
