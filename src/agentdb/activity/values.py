"""The values that columns of the activity tables take."""

from enum import StrEnum


class ActivityStatus(StrEnum):
    """How the recorded action ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    PENDING = "pending"


class ActorType(StrEnum):
    """Who acted."""

    USER = "user"
    SERVICE = "service"
    SYSTEM = "system"


class ReceiptStatus(StrEnum):
    """What a member has done with an event."""

    UNREAD = "unread"
    READ = "read"
    DISMISSED = "dismissed"


class ActivitySource(StrEnum):
    """Known sources of an event; any text of up to 32 characters is accepted."""

    API = "api"
    BILLING_BRIDGE = "billing_bridge"
    SYNC_WORKER = "sync_worker"


class ActivityObjectType(StrEnum):
    """Known types of the object acted upon; any text of up to 64 characters is accepted."""

    CONTAINER = "container"
    CONVERSATION = "conversation"
    INVOICE = "invoice"
    SERVICE_ACCOUNT = "service_account"
    STORAGE_OBJECT = "storage_object"
    SUBSCRIPTION = "subscription"
    TENANT = "tenant"
    VECTOR_FILE = "vector_file"
    WORKFLOW = "workflow"
    WORKFLOW_RUN = "workflow_run"


class ActivityAction(StrEnum):
    """Known actions; any text of up to 96 characters is accepted."""

    AUTH_SIGNUP_SUCCESS = "auth.signup.success"
    AUTH_SIGNUP_FAILURE = "auth.signup.failure"
    AUTH_LOGIN_SUCCESS = "auth.login.success"
    AUTH_LOGIN_FAILURE = "auth.login.failure"
    AUTH_LOGOUT = "auth.logout"
    AUTH_PASSWORD_CHANGED = "auth.password.changed"  # noqa: S105 - the name of an action
    AUTH_SERVICE_ACCOUNT_ISSUED = "auth.service_account.issued"
    AUTH_SERVICE_ACCOUNT_REVOKED = "auth.service_account.revoked"
    TENANT_LIFECYCLE = "tenant.lifecycle"
    TENANT_ACCOUNT_CREATED = "tenant.account.created"
    TENANT_ACCOUNT_UPDATED = "tenant.account.updated"
    CONVERSATION_CREATED = "conversation.created"
    CONVERSATION_CLEARED = "conversation.cleared"
    CONVERSATION_MESSAGE = "conversation.message"
    CONVERSATION_TRUNCATED = "conversation.truncated"
    CONVERSATION_TITLE_UPDATED = "conversation.title.updated"
    CONVERSATION_RUN_STARTED = "conversation.run.started"
    CONVERSATION_RUN_COMPLETED = "conversation.run.completed"
    WORKFLOW_RUN_STARTED = "workflow.run.started"
    WORKFLOW_RUN_COMPLETED = "workflow.run.completed"
    WORKFLOW_RUN_CANCELLED = "workflow.run.cancelled"
    BILLING_SUBSCRIPTION_UPDATED = "billing.subscription.updated"
    BILLING_INVOICE_PAID = "billing.invoice.paid"
    BILLING_INVOICE_FAILED = "billing.invoice.failed"
    STORAGE_FILE_UPLOADED = "storage.file.uploaded"
    STORAGE_FILE_DELETED = "storage.file.deleted"
    VECTOR_FILE_SYNCED = "vector.file.synced"
    CONTAINER_LIFECYCLE = "container.lifecycle"
