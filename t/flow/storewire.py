"""stored's protocol by hand (tiermail-store(7)): fields, packets, requests, for tests of the wire.

    s = storewire.connect(path)
    r = storewire.ask(s, storewire.PING)
    r.kind, r.code, r.text, r.get(storewire.R_ACCOUNT)
"""
import array, socket, struct
import tm

(PING, HELLO, BODIES, RELEASE, WATCH, DELIVER, APPEND, ACCOUNT, CREATE, DELETE, RENAME, SUBSCRIBE, FLAGS, EXPUNGE, COPY, MOVE, RESERVE,
 RELINK, RECOUNT, SNAPSHOT, PURGED, SETTLE, FORGET, MEND, REPLACE, ACL) = range(1, 27)
RESTORE, ERASE, RENAME_ACCOUNT, LOGIN, ORPHAN, FREEZE, WARN, KNOW, RETHREAD, DOMAIN = 29, 32, 33, 34, 35, 36, 37, 40, 41, 42
REPLY, EVENT = 64, 65
HANDLED = 43
NAMES = {v: k.lower() for k, v in list(globals().items()) if isinstance(v, int) and k.isupper()}

(F_ACCOUNT, F_MAILBOX, F_MAILBOX2, F_SINCE, F_TOKEN, F_LIMIT_BYTES, F_LIMIT_MESSAGES, F_COUNT, F_FLAGS, F_HOW, F_USE, F_YES, F_OPTIONS,
 F_NAME, F_NAME2, F_PARTITION, F_KEYWORDS, F_RANGES, F_MESSAGES, F_TARGETS, F_EMAILS, F_MIN, F_MAX, F_FEATURES, F_PID) = range(1, 26)
SIZES = {F_ACCOUNT: "Q", F_MAILBOX: "Q", F_MAILBOX2: "Q", F_SINCE: "Q", F_TOKEN: "Q", F_LIMIT_BYTES: "Q", F_LIMIT_MESSAGES: "Q", F_COUNT: "I",
         F_FLAGS: "H", F_HOW: "B", F_USE: "B", F_YES: "B", F_OPTIONS: "B", F_MIN: "H", F_MAX: "H", F_FEATURES: "Q", F_PID: "I"}
CRITICAL = 0x8000
R_ACCOUNT, R_MAILBOX, R_MODSEQ, R_BYTES, R_MESSAGES, R_TOKEN, R_UIDVALIDITY, R_UID, R_FAILED, R_LEVEL = range(1, 11)
R_VERDICT, R_KNOWN = 17, 18
F_ANNOTATIONS, F_QUESTIONS = 26, 40
ANNOTATE = 27
(DONE, AWAY, NOMAILBOX, EXISTS, OVERQUOTA, FULL, BADNAME, CANNOT, LIMIT, FAILED, REFUSED, UNSUPPORTED, FORBIDDEN) = range(13)
PROTOCOL = 2


def field(tag, value, critical=True):
    """One field; numbers are packed as their tag wants."""
    if isinstance(value, int):
        value = struct.pack("<" + SIZES[tag], value)
    return struct.pack("<HI", tag | (CRITICAL if critical else 0), len(value)) + value


def body(**fields):
    """body(account=5, name=b"x", ranges=[(1, 2)], messages=[message(...)]): what is 0 or empty is left out."""
    out = b""
    for name, value in fields.items():
        tag = globals()["F_" + name.upper()]
        if tag == F_RANGES:
            value = b"".join(struct.pack("<II", *r) for r in value)
        elif tag in (F_MESSAGES, F_TARGETS, F_ANNOTATIONS, F_QUESTIONS):
            out += b"".join(field(tag, v) for v in value)
            continue
        elif tag == F_EMAILS:
            value = b"".join(struct.pack("<Q", e) for e in value)
        if value:
            out += field(tag, value)
    return out


def _nested(*fields):
    return b"".join(struct.pack("<HI", t | CRITICAL, len(v)) + v for t, v in fields if v.strip(b"\0"))


def message(token=0, size=0, cache=b"", keywords=b"", uid=0, digest=0):
    return _nested((1, struct.pack("<Q", token)), (2, struct.pack("<I", size)), (6, keywords), (7, cache), (8, struct.pack("<I", uid)),
                   (10, struct.pack("<I", digest)))


def target(account=b"", folder=b"", partition=b""):
    return _nested((1, account), (2, partition), (3, folder))


def annotation(name, value):
    return _nested((1, name), (2, value))


def question(what, key, seconds=0):
    return _nested((1, bytes([what])), (2, key), (3, struct.pack("<I", seconds)))


def head(verb, id=1, flags=0, protocol=PROTOCOL, actor=b"", trace=b""):
    return struct.pack("<BBHIBBHI", protocol, verb, flags, id, len(actor), len(trace), 0, 0) + actor + trace


def fields(data):
    while len(data) >= 6:
        tag, n = struct.unpack_from("<HI", data)
        yield tag & ~CRITICAL, data[6:6 + n]
        data = data[6 + n:]


class Reply:
    def __init__(self, data, fds=()):
        self.fds = list(fds)
        self.fields = dict(fields(data))
        v = self.fields.get(R_VERDICT, bytes(8))
        self.kind, self.code, self.text = v[0], v[6], v[8:].decode(errors="replace")

    def get(self, tag):
        return int.from_bytes(self.fields.get(tag, b""), "little")


def connect(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(tm.LONG)
    s.connect(path)
    return s


def receive(s):
    """The next packet and the descriptors that came along; EOFError when the other side has hung up."""
    data, control, _, _ = s.recvmsg(200000, socket.CMSG_SPACE(64 * 4))
    fds = array.array("i")
    for _, _, x in control:
        fds.frombytes(x[:len(x) - len(x) % 4])
    if not data:
        raise EOFError
    return data, fds


def ask(s, verb, payload=b"", id=1, **kw):
    s.send(head(verb, id, **kw) + payload)
    while True:
        data, fds = receive(s)
        if data[1] == REPLY and struct.unpack_from("<I", data, 4)[0] == id:
            return Reply(data[16:], fds)
