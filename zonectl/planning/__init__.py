"""What a start will do, worked out before any of it is done. Pure: configuration and facts in, a plan out."""

from zonectl.planning.plan import ZonePlan, plan, warnings

__all__ = ["ZonePlan", "plan", "warnings"]
