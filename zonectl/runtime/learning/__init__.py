"""Learning what a workload needs: it is run again and again, watched first, then with something taken away.

`recording` watches system calls, `trial` runs the workload once, `search` decides what to take away next, `course` is
the whole of it.
"""
