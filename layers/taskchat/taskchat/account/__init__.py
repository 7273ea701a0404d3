"""Everything that a person owns: its export, its deletion, and how long it is kept."""

from taskchat.account.deletion import delete_account
from taskchat.account.export import ExportItem, ExportPage, export_page
from taskchat.account.retention import RETAINED_AT_ONCE, forget_untouched

__all__ = ["RETAINED_AT_ONCE", "ExportItem", "ExportPage", "delete_account", "export_page", "forget_untouched"]
