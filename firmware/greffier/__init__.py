"""Greffier: the part of the product that runs on the appliance. See ARCHITECTURE.md."""

__version__ = "0.1.0"
