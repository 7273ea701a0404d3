"""The limits of one person, as the operator sets them. `taskchat.turns` and `taskchat.audit` enforce them."""

from dataclasses import dataclass, replace

UNBOUNDED = 2**62


@dataclass(frozen=True)
class Limits:
    """The most that one person may use. A change by a client, such as MCP, counts as a turn."""

    tokens_per_day: int = UNBOUNDED
    turns_per_minute: int = UNBOUNDED
    turns_in_flight: int = UNBOUNDED

    @property
    def for_clients(self) -> "Limits":
        """The limits of a change that needs no model."""
        return replace(self, tokens_per_day=UNBOUNDED, turns_in_flight=UNBOUNDED)


NO_LIMITS = Limits()
