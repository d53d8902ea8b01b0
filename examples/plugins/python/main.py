"""Check: `value` is at most `limit`. Hook: a line for each event."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import notify
from wit_world.imports import config, log
from wit_world.imports.log import Level
from wit_world.imports.types import Failure_Config, Status, Verdict


class Check(exports.Check):
    def run(self) -> Verdict:
        value, limit = number("value"), number("limit")
        status = Status.PASS if value <= limit else Status.FAIL
        if status is Status.FAIL:
            log.write(Level.WARN, f"value {value} is over limit {limit}", [])
        return Verdict(status, f"value {value}, limit {limit}", weight=None, next_ms=None)


class Notify(exports.Notify):
    def handle(self, event: notify.Event) -> None:
        daemon = isinstance(event.subject, notify.Subject_Daemon)
        subject = "daemon" if daemon else event.subject.value
        log.write(Level.INFO, f"{subject} is {event.now.name}", [])


def number(key: str) -> int:
    try:
        return int(config.get(key) or "")
    except ValueError:
        raise Err(Failure_Config(f"`{key}` must be a whole number; write: {key} 10")) from None
