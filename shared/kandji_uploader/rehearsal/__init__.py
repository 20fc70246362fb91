"""The embedded tenant: a real HTTP server on loopback that behaves as Kandji's API documentation says.

    with RehearsalTenant(folder) as tenant:
        ...  # KANDJI_API_URL=tenant.url, KANDJI_TOKEN=tenant.token

Standard library only. It holds no real Macs and speaks to nobody but this machine.
"""

from kandji_uploader.rehearsal.clock import Clock
from kandji_uploader.rehearsal.faults import KINDS, Fault, Faults
from kandji_uploader.rehearsal.service import Permissions, TenantOptions
from kandji_uploader.rehearsal.tenant import Record, RehearsalTenant

__all__ = ["KINDS", "Clock", "Fault", "Faults", "Permissions", "Record", "RehearsalTenant", "TenantOptions"]
