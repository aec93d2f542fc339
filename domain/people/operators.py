"""People on the product's own side. They are added with the owner's role, never by the API."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput, NotFound
from domain.people.addresses import check_email
from domain.people.models import Operator, OperatorRole

_LONGEST_NAME = 200


async def create_operator(
    session: AsyncSession, *, name: str, email: str, role: OperatorRole
) -> Operator:
    """Raises InvalidInput, and Conflict for an address that is there."""
    email = check_email("email", email)
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise InvalidInput("name", f"A name has 1 to {_LONGEST_NAME} characters.")
    if await _find(session, email) is not None:
        raise Conflict(f"There is an operator {email} already.", field="email")
    operator = Operator(name=name.strip(), email=email, role=role)
    session.add(operator)
    await session.flush()
    return operator


async def _find(session: AsyncSession, email: str) -> Operator | None:
    found: Operator | None = await session.scalar(
        select(Operator).where(func.lower(Operator.email) == func.lower(email.strip()))
    )
    return found


async def get_operator(session: AsyncSession, email: str) -> Operator:
    """Raises NotFound, also for who is disabled."""
    operator = await _find(session, email)
    if operator is None or operator.disabled_at is not None:
        raise NotFound("operator", email)
    return operator


async def list_operators(session: AsyncSession) -> Sequence[Operator]:
    found = await session.scalars(select(Operator).order_by(func.lower(Operator.email)))
    return found.all()


async def disable_operator(session: AsyncSession, *, email: str, now: datetime) -> None:
    """Their tokens are worth nothing from now on. Raises NotFound."""
    (await get_operator(session, email)).disabled_at = now
