"""The only room that speaks to C: typed wrappers of system calls, flags, procfs readers, probes, and the one fork."""
