"""Who may use the product: what the provider says, unless it was said otherwise here (P9)."""


def is_eligible(row: str, *, user_id: str, tenant_id: str = "$1") -> str:
    """SQL for whether a person `row`, stored as `user_id`, is eligible."""
    return (
        "coalesce((SELECT eo.is_eligible FROM eligibility_overrides eo"  # noqa: S608 - our own SQL
        f" WHERE eo.tenant_id = {tenant_id} AND eo.user_id = {user_id}), {row}.is_eligible)"
    )


def needs_seat(row: str, *, user_id: str, tenant_id: str = "$1") -> str:
    """SQL for whether a person `row`, stored as `user_id`, takes a licence, if they are live."""
    eligible = is_eligible(row, user_id=user_id, tenant_id=tenant_id)
    return f"('STUDENT' = ANY ({row}.roles) AND {row}.is_enabled AND {eligible})"
