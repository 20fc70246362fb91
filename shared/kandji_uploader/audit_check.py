"""The audit script, tried before upload."""

from __future__ import annotations

from kandji_uploader.audit import AuditReading, AuditValues
from kandji_uploader.models import AppFacts


def check(script: str, values: AuditValues | AuditReading, facts: AppFacts | None = None) -> tuple[str, ...]:
    """Syntax and simulation under zsh; returns a line for each check that was skipped."""
    return ("the audit script was not tried",)
