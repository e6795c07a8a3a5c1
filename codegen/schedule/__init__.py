"""Scheduling: which statements share a loop nest, in which order its loops run."""

from codegen.schedule.collapse import collapse
from codegen.schedule.fuse import Kernel, Stage, fuse
from codegen.schedule.group import Group, group
from codegen.schedule.layout import lay_out
from codegen.schedule.order import Schedule, choose_schedule
from codegen.schedule.parts import cut_sums
from codegen.schedule.reorder import reorder

__all__ = [
    "Group",
    "Kernel",
    "Schedule",
    "Stage",
    "choose_schedule",
    "collapse",
    "cut_sums",
    "fuse",
    "group",
    "lay_out",
    "reorder",
]
