"""Sealing: keys of the recipients, envelopes, and the container of a part.

Formats: docs/part-format.md, docs/envelope-format.md, docs/key-files.md. Nothing here does input
or output, except that key files and parts are read.
"""
