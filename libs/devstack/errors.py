"""What can go wrong with a development stack for reasons outside of it. Each message says what happened and what to do."""


class DevstackError(Exception):
    """Something that the operator can mend."""


class BrokerError(DevstackError):
    """The embedded broker cannot run here; the message says why."""


class ChildDiedError(DevstackError):
    """A process that we need ended; the message has its last words and its log."""


class DatabaseError(DevstackError):
    """The embedded Postgres cannot run here; the message says why."""


class JarsUnavailableError(DevstackError):
    """The jars could not be had, or are not what the lock says; the message says what to do instead."""


class StateError(DevstackError):
    """The state folder cannot be used; the message says why and what to do."""
