"""Masks in files: what ``python -m tubeskel skeletonize`` and ``... tube`` read and write.

Only NumPy is needed for npy files; the libraries of other formats, the extra ``files``, are
imported on use.
"""

from .atomic import write_atomically
from .folders import Plan, make_plan
from .formats import format_of
from .tubes import make_tube_file

__all__ = ["Plan", "format_of", "make_plan", "make_tube_file", "write_atomically"]
