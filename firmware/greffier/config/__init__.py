"""The recorder's configuration: TOML in, frozen records out, and pure answers about a call.

What each key means: docs/config.md.
"""
