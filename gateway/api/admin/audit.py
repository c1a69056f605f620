"""`/admin/v1/audit`: what was changed, by whom and whence."""

from litestar import get

from gateway.api.admin import bodies, shown
from gateway.api.admin.calls import Call, Told
from gateway.api.admin.keys import unknown_cursor
from gateway.keys import UnknownRecordError


@get("/admin/v1/audit", told=Told(tag="Audit", query=bodies.AuditListing, answer=shown.AuditList))
async def list_changes(call: Call) -> shown.AuditList:
    """List what was changed, the latest first; never a secret."""
    asked = call.asked(bodies.AuditListing)
    try:
        entries = await call.register.audit(asked.limit + 1, asked.after)
    except UnknownRecordError as error:
        raise unknown_cursor(error) from None
    listed = entries[: asked.limit]
    has_more = len(entries) > asked.limit
    return shown.AuditList(
        data=[shown.shown_change(entry) for entry in listed],
        has_more=has_more,
        next=listed[-1].id if has_more else None,
    )
