#!/usr/bin/env python3
"""One email in thousands of places, a long thread, and filters that name thousands of mailboxes: what a query costs is
what there is, not its square."""
import tm
from jmapraw import Jmap

sb = tm.Sandbox("--users", "2", "--without", "pop3d", "--without", "mmpd", "--without", "memd", "--without", "sieved", "--without", "smtp-relay", "--without", "jobctl")
j, c = Jmap(sb), sb.imap(1)
c.create("Other")
c.append("INBOX", "(first)", None, b"Subject: many\r\n\r\nhello\r\n")
c.select("INBOX")
for _ in range(11):
    c.copy("1:*", "INBOX")
    c.noop()
c.copy("1", "Other")
c.append("INBOX", None, None, b"Subject: one\r\n\r\nhello\r\n")
c.select("INBOX")
c.store("1025", "+FLAGS", "(last)")
many, one = (j.emails(subject=s) for s in ("many", "one"))
box = {name: b["id"] for name, b in j.boxes().items()}
tm.is_((len(many), len(one), c.select("INBOX")[1]), (1, 1, [b"2049"]), "an email in 2,048 places")


def costs(what, want, **query):
    """The ids, at less than a second or two of the processor; the square would take a dozen."""
    before = sum(tm.cpu(p) for p in sb.pids_of("jmapd"))
    got = j.one("Email/query", **query)["ids"]
    took = sum(tm.cpu(p) for p in sb.pids_of("jmapd")) - before
    tm.ok(sorted(got) == sorted(want) and took < 2, f"{what} ({took:.2f} s)") or tm.diag(f"{got} {want}")


costs("a keyword of its first place", many, filter={"hasKeyword": "first"})
costs("a keyword of its last", many, filter={"hasKeyword": "last"})
costs("one that none has", one, filter={"operator": "AND", "conditions": [{"notKeyword": "last"}, {"notKeyword": "none"}]})
costs("a condition of its thread", many, filter={"someInThreadHaveKeyword": "last"})
costs("that of the others", one, filter={"noneInThreadHaveKeyword": "last"})
costs("in the order of a keyword", many + one, sort=[{"property": "hasKeyword", "keyword": "last"}])
costs("of a thread's", many + one, sort=[{"property": "allInThreadHaveKeyword", "keyword": "x"}, {"property": "someInThreadHaveKeyword", "keyword": "y"}])
costs("words of its text", many + one, filter={"body": "hello"})
costs("in one mailbox, with a keyword", many, filter={"operator": "AND", "conditions": [{"inMailbox": box["Other"]}, {"hasKeyword": "last"}]})
names = [f"F{i:016x}" for i in range(60000)]
costs("elsewhere than in thousands that are not there", many + one, filter={"operator": "AND", "conditions": [{"inMailboxOtherThan": names}, {"inMailboxOtherThan": names}]})
costs("elsewhere than in all of them but one", many, filter={"inMailboxOtherThan": names + [i for n, i in box.items() if n != "Other"]})
got = j.one("Email/get", ids=many, properties=["mailboxIds", "keywords"])["list"][0]
tm.is_((set(got["mailboxIds"]), got["keywords"]), ({box["INBOX"], box["Other"]}, {"first": True, "last": True}), "and what it is")

# ---- a thread ----------------------------------------------------------------------------------------------------------
for i in range(100):
    c.append("Other", "(odd)" if i == 99 else None, None, f"Subject: t\r\nMessage-ID: <t{i}@x.test>\r\nReferences: <t0@x.test>\r\n\r\n{i}\r\n".encode())
thread = j.emails(subject="t")
tm.is_(len({e["threadId"] for e in j.one("Email/get", ids=thread, properties=["threadId"])["list"]}), 1, "a thread of 100 emails")
costs("each is in a thread of which one is odd", thread, filter={"operator": "AND", "conditions": [{"someInThreadHaveKeyword": "odd"}, {"operator": "NOT", "conditions": [{"allInThreadHaveKeyword": "odd"}]}]})

# ---- many ways ---------------------------------------------------------------------------------------------------------
state = j.one("Email/query", filter=None, collapseThreads=True)["queryState"]
got = j.one("Email/set", update={e: {f"keywords/k{i % 50}": True, "keywords/odd": None, f"mailboxIds/{box['INBOX']}": True} for i, e in enumerate(thread)})
tm.is_(set(got["updated"]), set(thread), "each changes in a way of its own")
tm.is_([len(j.emails(hasKeyword=f"k{i}", inMailbox=box["INBOX"])) for i in (0, 49)] + [len(j.emails(hasKeyword="odd"))], [2, 2, 0], "as was said, in both mailboxes")
got = j.one("Email/queryChanges", filter=None, collapseThreads=True, sinceQueryState=state)
tm.is_((set(got["removed"]), len(got["added"])), (set(thread), 1), "and a query hears of it")
tm.is_(j.one("Email/set", destroy=many)["destroyed"], many, "it is destroyed")
tm.is_(c.select("INBOX")[1], [b"101"], "in all its places")
tm.done()
