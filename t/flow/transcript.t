#!/usr/bin/env python3
"""Sessions as an older build has held them (t/fixtures/transcripts; t/flow/transcript.py says how
they are written): the build of today says the same, byte for byte, when a group of lines comes in
one write, when every byte comes alone, and when all of a session comes at once.

What is said otherwise on purpose is in t/fixtures/intended.  TM_RECORD=1 [NAME...] records anew."""
import os, sys
import tm, transcript

WHERE = os.path.join(transcript.FIXTURES, "transcripts")
MODES = {"in groups": {}, "byte by byte": {"step": 1}, "in one write": {"whole": True}}
USERS = 3                                      # of its own for each run: what one leaves, no other sees

names = sys.argv[1:] or sorted(os.listdir(WHERE))
sb = tm.Sandbox("--users", str(USERS * len(names) * len(MODES) + 3), "--set", "imapd.auth.delay=5ms", "--set", "imapd.workers=1",
                "--set", "tiermail.quota.bytes=20M", "--set", "tiermail.quota.messages=500",
                "--set", "smtp-relay.auth.delay=5ms", "--set", "pop3d.auth.delay=5ms")
if os.environ.get("TM_RECORD"):
    for n, name in enumerate(names):
        path = os.path.join(WHERE, name)
        with open(path) as f:
            text = f.read()
        text = transcript.record(sb, text, first=1 + n * USERS)
        with open(path, "w") as f:
            f.write(text)
    tm.done()

differences, first = transcript.intended(), 1
for name in names:
    text, stale = transcript.load("transcripts/" + name, differences)
    tm.is_(stale, [], f"{name}: every intended difference is one") if "transcripts/" + name in differences else None
    steps = transcript.parse(text)
    for mode, how in MODES.items():
        if how.get("whole") and not any(s.doing and s.doing[0] == "one" for s in steps):
            continue
        why = transcript.play(sb, steps, first=first, **how)
        first += USERS
        tm.ok(not why, f"{name}, {mode}") or tm.diag(why)
tm.done()
