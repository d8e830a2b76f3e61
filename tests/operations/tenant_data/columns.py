"""Every stored column of the tables of an export, as somebody has looked at it."""

COLUMNS = {
    "activity_event_receipts": "id tenant_id user_id event_id status created_at updated_at",
    "activity_events": (
        "id tenant_id action created_at actor_id actor_type actor_role object_type object_id "
        "object_name status source request_id ip_hash user_agent metadata"
    ),
    "activity_last_seen": "id tenant_id user_id last_seen_created_at last_seen_event_id updated_at",
    "agent_containers": "agent_key container_id tenant_id",
    "agent_conversations": (
        "id conversation_key tenant_id user_id agent_entrypoint active_agent status message_count "
        "total_tokens_prompt total_tokens_completion reasoning_tokens total_cached_input_tokens "
        "total_requests provider provider_conversation_id handoff_count source_channel topic_hint "
        "display_name title_generated_at memory_strategy memory_max_turns memory_keep_last_turns "
        "memory_compact_trigger_turns memory_compact_keep memory_clear_tool_inputs "
        "memory_injection last_message_at last_run_id client_version sdk_session_id "
        "session_cursor last_session_sync_at created_at updated_at"
    ),
    "agent_messages": (
        "id conversation_id segment_id position role agent_type content attachments tool_name "
        "tool_call_id token_count_prompt token_count_completion reasoning_tokens latency_ms "
        "content_checksum run_id created_at"
    ),
    "agent_run_events": (
        "id conversation_id workflow_run_id sequence_no response_id run_item_type run_item_name "
        "role agent tool_call_id tool_name model content_text reasoning_text call_arguments "
        "call_output attachments created_at ingested_at"
    ),
    "agent_run_usage": (
        "id tenant_id conversation_id response_id run_id agent_key provider requests input_tokens "
        "output_tokens total_tokens cached_input_tokens reasoning_output_tokens "
        "request_usage_entries created_at"
    ),
    "agent_vector_stores": "agent_key vector_store_id tenant_id",
    "billing_plans": (
        "id code name interval interval_count price_cents currency trial_days seat_included "
        "feature_toggles is_active created_at updated_at"
    ),
    "containers": (
        "id openai_id tenant_id owner_user_id name memory_limit status expires_after "
        "last_active_at metadata_json created_at updated_at deleted_at"
    ),
    "conversation_ledger_events": (
        "id tenant_id conversation_id segment_id schema_version kind stream_id event_id "
        "server_timestamp response_id agent workflow_run_id provider_sequence_number output_index "
        "item_id content_index tool_call_id payload_size_bytes payload_json payload_object_id "
        "ingested_at"
    ),
    "conversation_ledger_segments": (
        "id tenant_id conversation_id segment_index parent_segment_id visible_through_event_id "
        "visible_through_message_position truncated_at created_at updated_at"
    ),
    "conversation_run_queue_items": (
        "id tenant_id conversation_id segment_id created_by_user_id status attempt_count "
        "payload_json error_json created_at started_at completed_at cancelled_at"
    ),
    "conversation_summaries": (
        "id tenant_id conversation_id agent_key summary_text summary_model summary_length_tokens "
        "expires_at version created_at"
    ),
    "password_history": "id user_id password_hash password_pepper_version created_at",
    "plan_features": (
        "id plan_id feature_key display_name description hard_limit soft_limit is_metered "
        "created_at"
    ),
    "security_events": (
        "id user_id tenant_id event_type source ip_hash user_agent_hash request_id metadata_json "
        "created_at"
    ),
    "service_account_tokens": (
        "id account tenant_id scope_key scopes refresh_token_hash refresh_jti signing_kid "
        "fingerprint session_id issued_at expires_at revoked_at revoked_reason created_at "
        "updated_at"
    ),
    "status_subscriptions": (
        "id channel target_hash target_masked target_encrypted severity_filter status tenant_id "
        "metadata_json created_by verification_token_hash verification_expires_at "
        "challenge_token_hash webhook_secret_encrypted unsubscribe_token_hash "
        "unsubscribe_token_encrypted revoked_reason created_at updated_at revoked_at "
        "last_challenge_sent_at"
    ),
    "storage_buckets": (
        "id tenant_id provider bucket_name region prefix is_default status created_at updated_at "
        "deleted_at"
    ),
    "storage_objects": (
        "id tenant_id bucket_id object_key filename mime_type size_bytes checksum_sha256 status "
        "created_by_user_id agent_key conversation_id metadata_json expires_at deleted_at "
        "created_at updated_at"
    ),
    "stripe_event_dispatch": (
        "id stripe_event_id handler status attempts last_attempt_at next_retry_at last_error "
        "created_at updated_at"
    ),
    "stripe_events": (
        "id stripe_event_id event_type payload tenant_hint stripe_created_at received_at "
        "processed_at processing_outcome processing_error processing_attempts"
    ),
    "subscription_invoices": (
        "id subscription_id period_start period_end amount_cents currency status "
        "external_invoice_id hosted_invoice_url created_at"
    ),
    "subscription_usage": (
        "id subscription_id feature_key unit period_start period_end quantity reported_at "
        "external_event_id"
    ),
    "tenant_accounts": "id slug name created_at",
    "tenant_settings": (
        "id tenant_id billing_contacts_json billing_webhook_url plan_metadata_json flags_json "
        "version created_at updated_at"
    ),
    "tenant_signup_invite_reservations": (
        "id invite_id email status reserved_at expires_at released_at released_reason "
        "finalized_at tenant_id user_id created_at updated_at"
    ),
    "tenant_signup_invites": (
        "id token_hash token_hint invited_email issuer_user_id issuer_tenant_id signup_request_id "
        "status max_redemptions redeemed_count expires_at last_redeemed_at revoked_at "
        "revoked_reason note metadata_json created_at updated_at"
    ),
    "tenant_signup_requests": (
        "id email organization full_name message status decision_reason decided_at decided_by "
        "invite_token_hint ip_address user_agent honeypot_value metadata_json created_at "
        "updated_at"
    ),
    "tenant_subscriptions": (
        "id tenant_id plan_id status auto_renew billing_email processor processor_customer_id "
        "processor_subscription_id starts_at current_period_start current_period_end "
        "trial_ends_at cancel_at seat_count metadata_json created_at updated_at"
    ),
    "tenant_user_memberships": "id user_id tenant_id role created_at",
    "usage_counters": (
        "id tenant_id user_id period_start granularity input_tokens output_tokens requests "
        "storage_bytes created_at updated_at"
    ),
    "user_consents": "id user_id policy_key version accepted_at ip_hash user_agent_hash created_at",
    "user_login_events": "id user_id tenant_id ip_hash user_agent result reason created_at",
    "user_mfa_methods": (
        "id user_id method_type label secret_encrypted credential_json verified_at last_used_at "
        "revoked_at revoked_reason created_at updated_at"
    ),
    "user_notification_preferences": (
        "id user_id tenant_id channel category enabled created_at updated_at"
    ),
    "user_profiles": (
        "id user_id display_name given_name family_name avatar_url timezone locale metadata_json "
        "created_at updated_at"
    ),
    "user_recovery_codes": "id user_id code_hash used_at created_at",
    "user_sessions": (
        "id user_id tenant_id refresh_jti fingerprint ip_hash ip_encrypted ip_masked user_agent "
        "client_platform client_browser client_device location_city location_region "
        "location_country created_at updated_at last_seen_at revoked_at revoked_reason"
    ),
    "users": (
        "id email password_hash password_pepper_version status platform_role email_verified_at "
        "created_at updated_at"
    ),
    "vector_store_files": (
        "id openai_file_id vector_store_id filename mime_type size_bytes usage_bytes status "
        "attributes_json chunking_json last_error created_at updated_at deleted_at"
    ),
    "vector_stores": (
        "id openai_id tenant_id owner_user_id name description status usage_bytes expires_after "
        "expires_at last_active_at metadata_json created_at updated_at deleted_at"
    ),
    "workflow_run_steps": (
        "id workflow_run_id sequence_no step_name step_agent status started_at ended_at "
        "response_id response_text structured_output raw_payload usage_input_tokens "
        "usage_output_tokens stage_name parallel_group branch_index deleted_at deleted_by "
        "deleted_reason"
    ),
    "workflow_runs": (
        "id workflow_key tenant_id user_id status started_at ended_at final_output_text "
        "final_output_structured trace_id request_message conversation_id metadata deleted_at "
        "deleted_by deleted_reason"
    ),
}
"""The columns by table. One that is added is to be thought of where tenants are exported: is it
secret, does it refer to a row, does it hold a number that another database draws anew?"""
