"""The process that carries sealed parts and the log to head office (docs/sync-protocol.md).

It holds ciphertext only, never writes the data directory, and believes nothing that a broker says.
"""
