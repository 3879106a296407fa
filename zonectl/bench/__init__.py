"""What isolation costs: the same program, on the host and inside walls, by turns.

How the room works, from the bottom up:

- `probe`: one static C program does the work and takes the time. It is told on its standard input what to do, a line
  each, and answers with nanoseconds (`runner`). So every arm is the same thing: a process with two pipes.
- `workloads`: what it can be told, each with what it stresses. Always time per operation: less is better everywhere.
- `arms`: where it runs. `bare` and `control` are the same on the host; `zone` is a real zone; `layers` has the rungs
  between the two; `peers` the other kinds of isolation.
- `sampling`: rounds in which every arm has its turn forth and back (A A' B B A' A), on one processor, with loops
  calibrated once. What drifts, drifts for all.
- `lifecycle`, `density`: times of whole commands, and what many zones cost.
- `results`: what came out, and nothing else: raw samples, the host, versions. All that is said of them is derived by
  `statistics`; `report` shows it, `compare` and `budget` judge it.

Source: docs/adr/0100-overhead-in-paired-rounds.md.
"""
