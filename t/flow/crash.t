#!/usr/bin/env python3
"""Every daemon is killed with SIGKILL under load, at random moments, again and again.

Afterwards: what was answered 250 is in its mailbox (at least once, duplicates counted), the
queue is empty, the store's invariants hold, and no file is left in a temporary place.
"""
import collections, os, random, re, signal, smtplib, threading, time
import tm

KILLS = 24
MESSAGES = 2000
USERS = 40
SENDERS = 8
VICTIMS = ["smtp-relay", "jobctl", "channel-master", "lmtpd", "stored", "imapd"]

seed = int(os.environ.get("TM_SEED", time.time()))
rnd = random.Random(seed)
tm.diag(f"TM_SEED={seed}")
sb = tm.Sandbox("--users", str(USERS), "--set", "smtp-relay.limit.per_client=10000")

acked = {}                # id -> users, for every 250
unsure = set()            # ids whose answer was lost: may be there, may be not
lock = threading.Lock()
stop = threading.Event()
refused = collections.Counter()


def sender(k):
    n, s = 0, None
    mine = random.Random(seed * 100 + k)
    while not stop.is_set():
        n += 1
        mid = f"crash-{k}-{n}"
        users = mine.sample(range(1, USERS + 1), mine.choice([1, 1, 1, 2, 5]))
        body = "".join(f"line {i} of {mid}\r\n" for i in range(mine.choice([1, 20, 400])))
        text = f"From: <load@sender.test>\r\nSubject: {mid}\r\nMessage-ID: <{mid}@sender.test>\r\n\r\n{body}"
        rcpts = [f"{sb.user(u)}@{sb.domain}" for u in users]
        while not stop.is_set():
            try:
                if s is None:
                    s = sb.smtp()
                s.sendmail("load@sender.test", rcpts, text)
                with lock:
                    acked[mid] = users
                break
            except smtplib.SMTPRecipientsRefused as e:
                refused.update(f"RCPT {c}" for c, _ in e.recipients.values())
                time.sleep(0.02)
            except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected, OSError) as e:
                refused[f"{type(e).__name__} {getattr(e, 'smtp_code', '')}"] += 1
                with lock:
                    unsure.add(mid)
                s = None
                time.sleep(0.02)
        time.sleep(0.01)


def reader():
    """Reads along, so that imapd dies at work too; its errors are expected."""
    while not stop.is_set():
        try:
            sb.messages(random.randint(1, USERS), what="(FLAGS BODY.PEEK[HEADER])")
        except Exception:
            pass
        time.sleep(0.05)


def kill_one(victim):
    """SIGKILL to a daemon (its supervisor; the workers die with it) or to one worker alone."""
    pids = sb.pids_of(victim)
    if victim == "channel-master":
        workers = pids
    else:
        workers = [p for p in pids if p != sb.pid(victim)]
    if workers and (victim == "channel-master" or rnd.random() < 0.4):
        os.kill(rnd.choice(workers), signal.SIGKILL)
        return True
    if victim == "channel-master":
        return False                    # none was running at this moment
    os.kill(sb.pid(victim), signal.SIGKILL)
    time.sleep(rnd.random() * 0.2)
    return sb.restart(victim)


threads = [threading.Thread(target=sender, args=(k,), daemon=True) for k in range(SENDERS)]
threads.append(threading.Thread(target=reader, daemon=True))
for t in threads:
    t.start()
kills, failed, i = collections.Counter(), 0, 0
end = time.monotonic() + 240 * tm.SLOW
while (sum(kills.values()) < KILLS or len(acked) < MESSAGES) and time.monotonic() < end:
    time.sleep(0.1 + rnd.random() * 0.5)
    if sum(kills.values()) < KILLS:
        victim = VICTIMS[i % len(VICTIMS)]
        i += 1
        if kill_one(victim):
            kills[victim] += 1
        else:
            failed += 1
stop.set()
for t in threads:
    t.join(tm.LONG)
tm.diag(f"acknowledged {len(acked)}, kills {dict(kills)}, refusals {dict(refused)}")
tm.ok(sum(kills.values()) >= KILLS - 4 and len(kills) == len(VICTIMS), "every daemon was killed, at least 20 kills in all")
tm.ok(len(acked) >= MESSAGES, f"at least {MESSAGES} messages were acknowledged")
r = sb.call("status", sb.dir)
tm.ok(r.returncode == 0, "every daemon answers") or tm.diag(r.stdout)
tm.ok(sb.queue_empty(), "the queue is empty in the end")

found = {}                # user -> Counter of ids
for u in range(1, USERS + 1):
    heads = sb.messages(u, what="(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    found[u] = collections.Counter(m.decode() for h in heads for m in re.findall(rb"crash-\d+-\d+", h))
lost = [(mid, u) for mid, users in acked.items() for u in users if not found[u][mid]]
tm.is_(lost[:5], [], "every acknowledged message is in every mailbox it was for")
copies = sum(sum(c.values()) for c in found.values())
distinct = sum(len(c) for c in found.values())
double = [(mid, u) for u, c in found.items() for mid, n in c.items() if n > 1]
known = [d for d in double if d[0] in unsure]
tm.diag(f"{distinct} deliveries, {copies - distinct} duplicates: {len(known)} because the client sent again after a lost answer")
tm.is_([d for d in double if d[0] not in unsure][:5], [],
       "no duplicate that a client did not cause by sending again")
for mid, u in double[:3]:
    tm.diag(f"duplicate {mid} for {sb.user(u)}")
bodies = sb.messages(1)
tm.ok(all(b.count(b"line 0 of ") == 1 and b.endswith(b"\r\n") for b in bodies), "the bodies are whole")
r = sb.tool("storectl", "check")
tm.is_(r.returncode, 0, "storectl check finds nothing") or tm.diag(r.stdout[-2000:] + r.stderr[-2000:])
left = [n for n in os.listdir(os.path.join(sb.env["QUEUE"], "tmp"))]
tm.is_(left, [], "nothing is left among the temporary files of the queue")
tm.done()
