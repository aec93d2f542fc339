"""Every table, imported in one place: for migrations, and for tests that walk the schema."""

import domain.errands.models
import domain.files.models
import domain.identity.models
import domain.integrations.models
import domain.integrations.standings
import domain.notifications.models
import domain.people.models
import domain.roster.models
import domain.sync.models
import domain.tenants.models
import domain.training.models
import domain.validation.models
import domain.watch.models
from domain.database import Base

__all__ = ["domain", "metadata"]

metadata = Base.metadata
