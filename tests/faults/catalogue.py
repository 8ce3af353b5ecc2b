"""All faults, in order, and what of the numbering is proved elsewhere."""

from tests.faults import broken_engines, links, loads, processes, rebuilt, records
from tests.faults.frame import Fault

KINDS = (links, processes, broken_engines, loads, records, rebuilt)
ELSEWHERE = {
    "F23": "two versions beside each other: make upgrade-test",
    "F25": "a target that hangs or redirects: no service calls out",
    "F26": "keys of an issuer: keys are the gateway's own; replaced and suspended ones in tests/gateway/test_api.py",
}

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in sorted((fault for kind in KINDS for fault in kind.FAULTS), key=lambda f: int(f.name[1:]))
}
