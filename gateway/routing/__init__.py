"""From a model's name to those who may answer for it: `routes` plans, `targets` has the words of a plan."""

from gateway.routing.routes import Routes
from gateway.routing.targets import MOST_TARGETS, Balance, Hedge, Line, Plan, Target, can_go_on

__all__ = ["MOST_TARGETS", "Balance", "Hedge", "Line", "Plan", "Routes", "Target", "can_go_on"]
