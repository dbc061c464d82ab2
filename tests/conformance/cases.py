"""Runs a program's cases in their order and writes one JSON object a line for each: name, ok, and what went wrong."""

import json
import sys
import time
import traceback

from ibm_cloud_sdk_core import ApiException

_cases = []


def case(name):
    """Registers a case. Cases run in the order they stand in the file, and may build on those before."""

    def register(run):
        _cases.append((name, run))
        return run

    return register


def run_cases():
    """Runs them all; a case that fails does not stop those after it."""
    out = sys.stdout
    sys.stdout = sys.stderr
    for name, run in _cases:
        try:
            run()
            line = {"name": name, "ok": True}
        except BaseException as error:
            line = {"name": name, "ok": False, "error": _told(error)}
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
        print(json.dumps(line), file=out, flush=True)


def _told(error):
    text = "".join(traceback.format_exception(error))
    if isinstance(error, ApiException) and error.http_response is not None:
        text += f"\nanswer: {error.http_response.status_code} {error.http_response.text}"
    return text


def equal(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def holds(model, document):
    """The document as the SDK's model: raises when a member that the schema requires is absent. Nothing may get lost on the way."""
    made = model.from_dict(document)
    assert made is not None
    return made


def whole(model, response, status):
    """The document of a reply with this status, after the model has taken it."""
    equal(response.get_status_code(), status)
    document = response.get_result()
    holds(model, document)
    return document


def refused(status, call, *arguments, says=None, **named):
    """The exception with which the SDK reports the refusal; its message must be a text for people, not the SDK's own fallback."""
    try:
        call(*arguments, **named)
    except ApiException as error:
        equal(error.status_code, status)
        assert error.message not in (None, "", "Unknown error"), f"no message in {error.http_response.text}"
        assert says is None or says in error.message, f"{says!r} is not in {error.message!r}"
        return error
    raise AssertionError(f"{call.__name__} was answered, not refused with {status}")


def absent(operation, call, *arguments, **named):
    """What Everleaf does not have answers 501 and names the operation."""
    return refused(501, call, *arguments, says=operation, **named)


def eventually(what, ask, limit_s=60):
    """The first answer that is neither None nor False."""
    ends_at = time.monotonic() + limit_s
    while time.monotonic() < ends_at:
        answer = ask()
        if answer is not None and answer is not False:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {limit_s} s")
