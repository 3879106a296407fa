"""Control groups, version 2: limits, freezing, killing, statistics. One module a controller.

Pure: `setting`, the controllers (`cpu`, `cpuset`, `memory`, `pids`, `io`, `hugetlb`), `limits` and `steps`.
The others act: `tree` is the door to them.
"""
