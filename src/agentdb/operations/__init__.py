"""What spans several tables: plain functions that take a unit of work first and can share one."""

from agentdb.operations.agent_tools import Bound, attach_file, bind_agent, detach_file
from agentdb.operations.conversations_deletion import Deleted, delete_conversation
from agentdb.operations.entitlements import set_entitlements
from agentdb.operations.identities import change_email, disable_user
from agentdb.operations.inbox import inbox, mark_all_read
from agentdb.operations.invoices import ingest_invoice
from agentdb.operations.ledger import append_ledger
from agentdb.operations.logins import record_login
from agentdb.operations.messages import Appended, append_messages
from agentdb.operations.passwords import ReuseCheck, change_password
from agentdb.operations.plan_changes import change_plan
from agentdb.operations.provisioning import Provisioned, provision_user
from agentdb.operations.rotation import rotate
from agentdb.operations.runs import Completed, RunActivity, complete_run
from agentdb.operations.sessions import issue_session, revoke_session, revoke_sessions_all
from agentdb.operations.sign_up import SignedUp, sign_up
from agentdb.operations.signup_requests import (
    ApprovedRequest,
    approve_signup_request,
    reject_signup_request,
)
from agentdb.operations.stripe_events import ingest_stripe_event
from agentdb.operations.subscriptions import (
    apply_subscription_snapshot,
    cancel_subscription,
    start_subscription,
)
from agentdb.operations.tenant_data import (
    ExportedRow,
    ImportedTenant,
    erase_tenant,
    export_tenant,
    import_tenant,
    write_export,
)
from agentdb.operations.truncation import Truncated, truncate_from
from agentdb.operations.user_deletion import DELETED_USER, DeletedUser, delete_user
from agentdb.operations.workflows import (
    StartedRun,
    cancel_run,
    delete_run,
    restore_run,
    soft_delete_run,
    start_workflow_run,
)

__all__ = [
    "DELETED_USER",
    "Appended",
    "ApprovedRequest",
    "Bound",
    "Completed",
    "Deleted",
    "DeletedUser",
    "ExportedRow",
    "ImportedTenant",
    "Provisioned",
    "ReuseCheck",
    "RunActivity",
    "SignedUp",
    "StartedRun",
    "Truncated",
    "append_ledger",
    "append_messages",
    "apply_subscription_snapshot",
    "approve_signup_request",
    "attach_file",
    "bind_agent",
    "cancel_run",
    "cancel_subscription",
    "change_email",
    "change_password",
    "change_plan",
    "complete_run",
    "delete_conversation",
    "delete_run",
    "delete_user",
    "detach_file",
    "disable_user",
    "erase_tenant",
    "export_tenant",
    "import_tenant",
    "inbox",
    "ingest_invoice",
    "ingest_stripe_event",
    "issue_session",
    "mark_all_read",
    "provision_user",
    "record_login",
    "reject_signup_request",
    "restore_run",
    "revoke_session",
    "revoke_sessions_all",
    "rotate",
    "set_entitlements",
    "sign_up",
    "soft_delete_run",
    "start_subscription",
    "start_workflow_run",
    "truncate_from",
    "write_export",
]
