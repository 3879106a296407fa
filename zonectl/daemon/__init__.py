"""zoned, the warm parent: it forks a worker for each command, watches running zones and keeps their logger alive."""
