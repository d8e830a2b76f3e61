"""A tenant's data: out to a file, in from one, and away."""

from agentdb.operations.tenant_data.erasing import erase_tenant
from agentdb.operations.tenant_data.exporting import ExportedRow, export_tenant
from agentdb.operations.tenant_data.files import write_export
from agentdb.operations.tenant_data.importing import ImportedTenant, import_tenant

__all__ = [
    "ExportedRow",
    "ImportedTenant",
    "erase_tenant",
    "export_tenant",
    "import_tenant",
    "write_export",
]
