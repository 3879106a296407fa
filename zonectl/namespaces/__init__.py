"""Namespaces and roots: id maps, mounts, the root file system, host name, clocks, entering a running zone."""
