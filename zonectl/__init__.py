"""zonectl: isolated systems on one Linux kernel."""

__version__ = "0.1.0"
