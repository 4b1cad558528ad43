"""What debug information (DWARF) says of one version: its types and variables."""

from liveso.debug.debug_files import DebugSource, debug_files
from liveso.debug.debug_info import DebugInfo, Layout, read_debug_info

__all__ = ["DebugInfo", "DebugSource", "Layout", "debug_files", "read_debug_info"]
