"""Comparing the stored catalogue with the one that a host declares."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from agentdb.billing.checks import check_columns, check_currency, check_limits
from agentdb.billing.models import BillingPlan, PlanFeature
from agentdb.billing.rows import CatalogueDiff, NewFeature, NewPlan
from agentdb.canonical import check_name
from agentdb.checks import check_values
from agentdb.errors import InvalidValueError

_PLAN_COLUMNS = [field.name for field in fields(NewPlan) if field.name != "features"]


@dataclass(frozen=True, slots=True)
class WantedPlan:
    """A plan that passed the checks.

    Attributes:
        columns: Its columns.
        features: The columns of its features, by key.
    """

    columns: dict[str, Any]
    features: dict[str, dict[str, Any]]


def wanted_plans(plans: Sequence[NewPlan]) -> dict[str, WantedPlan]:
    """Return the declared plans by code, in the order of the codes.

    Raises:
        InvalidValueError: A code, or the key of a feature, comes twice, or a value is refused.
    """
    given = check_values(plans, "plans")
    wanted = {plan.code: _wanted(plan) for plan in map(_checked, given)}
    if len(wanted) < len(given):
        raise InvalidValueError("a code comes twice", table="billing_plans", column="code")
    # The order in which new plans are stored: two calls at once never wait for each other.
    return dict(sorted(wanted.items()))


def _checked(plan: NewPlan) -> NewPlan:
    if not isinstance(plan, NewPlan):  # pyright: ignore[reportUnnecessaryIsInstance] -- callers without a type checker
        raise InvalidValueError("expects plans")
    return plan


def _wanted(plan: NewPlan) -> WantedPlan:
    columns = {name: getattr(plan, name) for name in _PLAN_COLUMNS}
    check_columns(BillingPlan, columns)
    check_currency("billing_plans", plan.currency)
    columns["name"] = check_name(plan.name)
    features = {feature.feature_key: _feature_columns(feature) for feature in plan.features}
    if len(features) < len(plan.features):
        raise InvalidValueError("a key comes twice", table="plan_features", column="feature_key")
    return WantedPlan(columns, features)


def _feature_columns(feature: NewFeature) -> dict[str, Any]:
    columns = asdict(feature)
    check_columns(PlanFeature, columns)
    check_limits(feature.soft_limit, feature.hard_limit)
    if feature.display_name is not None:
        columns["display_name"] = check_name(feature.display_name)
    return columns


def compare(
    stored: Mapping[str, BillingPlan],
    wanted: Mapping[str, WantedPlan],
    created: Collection[str],
    *,
    deactivate_missing: bool,
    prune_features: bool,
) -> CatalogueDiff:
    """Return what has to change.

    Args:
        stored: The plans that there are, with features, by code.
        wanted: The plans that there should be.
        created: Codes of stored plans that were made for this.
        deactivate_missing: Whether plans that are not wanted are deactivated.
        prune_features: Whether features that are not wanted of a wanted plan are removed.
    """
    new = [code for code in wanted if code in created or code not in stored]
    known = {code: plan for code, plan in stored.items() if code in wanted}
    updated = [code for code, plan in known.items() if differs(plan, wanted[code].columns)]
    missing = [c for c, plan in stored.items() if c not in wanted and plan.is_active]
    diff = CatalogueDiff(
        created=tuple(sorted(new)),
        updated=tuple(sorted(updated)),
        deactivated=tuple(sorted(missing)) if deactivate_missing else (),
    )
    return _with_features(diff, known, wanted, prune=prune_features)


def _with_features(
    diff: CatalogueDiff,
    known: Mapping[str, BillingPlan],
    wanted: Mapping[str, WantedPlan],
    *,
    prune: bool,
) -> CatalogueDiff:
    rows = features_of(known)
    goals = {(code, k): values for code, p in wanted.items() for k, values in p.features.items()}
    updated = [place for place, row in rows.items() if differs(row, goals.get(place, {}))]
    return replace(
        diff,
        features_created=tuple(sorted(goals.keys() - rows.keys())),
        features_updated=tuple(sorted(updated)),
        features_removed=tuple(sorted(rows.keys() - goals.keys())) if prune else (),
    )


def features_of(plans: Mapping[str, BillingPlan]) -> dict[tuple[str, str], PlanFeature]:
    """Return the features of plans by the code of the plan and their key."""
    return {(c, row.feature_key): row for c, plan in plans.items() for row in plan.features}


def differs(row: BillingPlan | PlanFeature, columns: Mapping[str, Any]) -> bool:
    """Return whether a row has other values."""
    return any(getattr(row, name) != value for name, value in columns.items())
