"""What the daemons' logs have to say when a test fails: enough for a stranger who has nothing else."""
import datetime, heapq, os, re

BEFORE, AFTER = 5, 1    # seconds around a failure
FAILURES = 3            # of which that is shown
AROUND = 40             # lines around each, of all logs in the order of time
WORSE = 12              # lines of each log that are no mere information ...
LAST = 4                # ... and those at its end; none twice

STAMP = re.compile(r"ts=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z ")


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")[:23]


def _moved(stamp, seconds):
    return (datetime.datetime.fromisoformat(stamp) + datetime.timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def _lines(path):
    """(time, line): what a line without a time says, it says when the one before it did."""
    at = ""
    try:
        with open(path, errors="replace") as f:
            for line in f:
                m = STAMP.match(line)
                at = m[1] if m else at
                yield at, line.rstrip("\n")
    except OSError:
        return


def _around(logs, stamp, told):
    first, last = _moved(stamp, -BEFORE), _moved(stamp, AFTER)
    found = list(heapq.merge(*([(t, l) for t, l in lines if first <= t <= last] for lines in logs.values()), key=lambda x: x[0]))
    # What comes behind it is worth less than what leads up to it.
    behind = [x for x in found if x[0] > stamp][:AROUND // 4]
    before = [x for x in found if x[0] <= stamp][-(AROUND - len(behind)):]
    fresh = [l for _, l in before + behind if l not in told]
    left = len(found) - len(fresh)
    return ([f"[{left} more]"] if left else []) + fresh


def tell(paths, failures):
    """Yields lines: what all logs say around each failure [(time, what)], then the end of each log."""
    logs, told = {p: list(_lines(p)) for p in paths}, set()
    for stamp, what in failures[:FAILURES]:
        yield f"=== {stamp}Z, failed: {what}"
        lines = _around(logs, stamp, told)
        told.update(lines)
        yield from lines
    for path, lines in sorted(logs.items()):
        lines = [l for _, l in lines]
        worse = [i for i, l in enumerate(lines) if " lvl=info " not in l and " lvl=debug " not in l][-WORSE:]
        shown = [lines[i] for i in sorted({*worse, *range(max(0, len(lines) - LAST), len(lines))}) if lines[i] not in told]
        if shown:
            yield f"=== {os.path.basename(path)}, {len(lines)} lines: what is no information, and the last"
            yield from shown
