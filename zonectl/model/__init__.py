"""Frozen data that every room shares: names, sizes, configuration, facts, steps, states. No effects."""
