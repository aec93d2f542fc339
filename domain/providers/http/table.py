"""From the status of an answer to what is done about it. Nothing else decides that."""

from enum import Enum
from typing import Final, NamedTuple

from domain.validation.codes import Code


class Step(Enum):
    TAKE = "the body is the answer"
    FOLLOW = "a redirect, within the same host only"
    RENEW = "once more with other credentials, if there are any"
    WAIT = "once more when the provider allows it"
    RETRY = "once more after a while"
    RETRY_SMALLER = "once more after a while, and ask for less if that is possible"
    SHRINK = "ask for less at once; refuse if that is not possible"
    REFUSE = "asking again would not help"


class Action(NamedTuple):
    """`code` is what the request fails with if no step helps; None for what is no failure."""

    step: Step
    code: Code | None = None


_REQUEST_REFUSED: Final = Action(Step.REFUSE, Code.CONN_REQUEST_REFUSED)
_SERVER_ERROR: Final = Action(Step.RETRY_SMALLER, Code.CONN_SERVER_ERROR)
_NO_ANSWER: Final = Action(Step.RETRY, Code.CONN_BAD_PAYLOAD)

_ACTIONS: Final = {
    **dict.fromkeys((301, 302, 303, 307, 308), Action(Step.FOLLOW)),
    401: Action(Step.RENEW, Code.CONN_AUTH_REJECTED),
    # A list that is not found is one that is not shared with us (any more).
    403: Action(Step.REFUSE, Code.CONN_FORBIDDEN_SCOPE),
    404: Action(Step.REFUSE, Code.CONN_FORBIDDEN_SCOPE),
    408: Action(Step.RETRY_SMALLER, Code.CONN_TIMEOUT),
    413: Action(Step.SHRINK, Code.CONN_REQUEST_REFUSED),
    429: Action(Step.WAIT, Code.CONN_THROTTLED),
    501: _REQUEST_REFUSED,
}

HINTED_STATUSES: Final = frozenset({429, 503})
"""Those with which a provider says how long to wait."""


def action_of(status: int) -> Action:
    if status in _ACTIONS:
        return _ACTIONS[status]
    match status // 100:
        case 2:
            return Action(Step.TAKE)
        case 3 | 4:
            return _REQUEST_REFUSED
        case 5:
            return _SERVER_ERROR
        case _:
            return _NO_ANSWER
