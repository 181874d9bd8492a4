#!/usr/bin/env python3
"""Messages as JMAP shows and makes them, judged by another reader: python's email package parses them, and RFC
8621 4.1.4's algorithm, as the RFC writes it down, says which part belongs into which list.  Random trees,
names, charsets and encodings; the same each time."""
import base64, email, email.header, email.policy, email.utils, json, os, random, re, subprocess
import tm

TOOL = os.path.join(tm.BINDIR, "../t/tools/jmapmail")
R = random.Random(8621)
WORDS = ["plain", "Grüße", "日本語", "naïve café", "a.b,c;d", "Привет", "x" * 60, "(paren)", "“quote”", "=?x?="]
CHARSETS = ["us-ascii", "utf-8", "iso-8859-1", "windows-1252", "koi8-r", "iso-2022-jp", "gb18030", "utf-16le", "iso-8859-15", "euc-kr"]
SAMPLE = {"koi8-r": "Привет", "iso-2022-jp": "日本語", "gb18030": "中文 text", "utf-8": "Grüße 日本 😀", "us-ascii": "plain",
          "iso-8859-1": "naïve", "windows-1252": "“so”", "utf-16le": "wide ü", "iso-8859-15": "10 €", "euc-kr": "한국어"}


def run(args, data):
    return subprocess.run([TOOL] + args, input=data, capture_output=True, check=True).stdout


# ---- the messages ------------------------------------------------------------------------------------

def encoded(data):
    how = R.choice(["base64", "quoted-printable", "8bit"])
    if how == "base64":
        return how, base64.encodebytes(data).replace(b"\n", b"\r\n")
    if how == "quoted-printable":
        import quopri
        return how, quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return how, data


def leaf():
    kind = R.choice(["text/plain", "text/plain", "text/html", "text/html", "image/png", "application/pdf", "audio/ogg", "text/calendar"])
    head = f"Content-Type: {kind}"
    if kind.startswith("text/"):
        charset = R.choice(CHARSETS)
        head += f"; charset={charset}"
        data = "\r\n".join(SAMPLE[charset] for _ in range(R.randint(1, 4))).encode(charset)
    else:
        charset, data = None, bytes(R.randrange(256) for _ in range(R.randint(0, 200)))
    name = R.choice(WORDS)
    named = R.randrange(4)
    ascii_name = name.isascii()
    if named == 1:
        head += f'; name="{name if ascii_name else email.header.Header(name, "utf-8").encode()}"'
    how, body = encoded(data)
    if (charset == "utf-16le" or charset is None) and how != "base64":
        how, body = "base64", base64.encodebytes(data).replace(b"\n", b"\r\n")
    if how == "8bit" and charset == "iso-2022-jp":
        how = "7bit"
    disposition = R.choice([None, None, "inline", "attachment", "ATTACHMENT"])
    if disposition:
        head += f"\r\nContent-Disposition: {disposition}"
        if named == 2:
            head += f'; filename="{name}"' if ascii_name else "; filename*=" + email.utils.encode_rfc2231(name, "utf-8")
    if R.randrange(3) == 0:
        head += f"\r\nContent-ID: <c{R.randrange(99)}@x>"
    return f"{head}\r\nContent-Transfer-Encoding: {how}\r\n\r\n".encode() + body


def tree(depth=0):
    if depth > 3 or R.randrange(3) == 0:
        return leaf()
    b = "b%d" % R.getrandbits(60)
    kind = R.choice(["mixed", "alternative", "related", "signed", "x-odd"])
    out = f'Content-Type: multipart/{kind}; boundary="{b}"\r\n\r\n'.encode()
    for _ in range(R.randint(1, 4)):
        out += f"--{b}\r\n".encode() + tree(depth + 1) + b"\r\n"
    return out + f"--{b}--\r\n".encode()


def message():
    words = lambda: R.choice(WORDS + ["two words", "O'Brien"])
    people = [(words(), f"u{R.randrange(99)}@x.example") for _ in range(R.randint(1, 3))]
    subject = " ".join(R.choice(WORDS) for _ in range(R.randint(1, 5)))
    head = "From: " + ", ".join(email.utils.formataddr(p) for p in people) + "\r\n"
    head += "Subject: " + email.header.Header(subject, "utf-8" if not subject.isascii() or "=?" in subject else None).encode(linesep="\r\n") + "\r\n"
    return head.encode() + tree(), people, subject


# ---- the judge -----------------------------------------------------------------------------------------

def describe(msg):
    """The leaves of python's parser, numbered, as the RFC's algorithm wants them."""
    count = [0]

    def walk(p):
        d = {"type": p.get_content_type(), "disposition": (p.get_content_disposition() or None), "name": p.get_filename(), "parts": None, "py": p}
        if d["name"]:
            d["name"] = str(email.header.make_header(email.header.decode_header(d["name"])))
        if p.is_multipart():
            d["parts"] = [walk(c) for c in p.get_payload()]
        else:
            count[0] += 1
            d["id"] = str(count[0])
        return d
    return walk(msg)


def media(t):
    return t.startswith(("image/", "audio/", "video/"))


def parse_structure(parts, multi, inside, html, text, att):
    ntext, nhtml = (len(text) if text is not None else -1), (len(html) if html is not None else -1)
    for i, p in enumerate(parts):
        inline = p["disposition"] != "attachment" and (p["type"] in ("text/plain", "text/html") or media(p["type"])) and (
            i == 0 or (multi != "related" and (media(p["type"]) or not p["name"])))
        if p["parts"] is not None:
            sub = p["type"].split("/")[1]
            parse_structure(p["parts"], sub, inside or sub == "alternative", html, text, att)
        elif inline:
            if multi == "alternative":
                (text if p["type"] == "text/plain" else html if p["type"] == "text/html" else att).append(p) \
                    if not (p["type"] == "text/plain" and text is None or p["type"] == "text/html" and html is None) else None
                continue
            if inside and p["type"] == "text/plain":
                html = None
            if inside and p["type"] == "text/html":
                text = None
            for where in (text, html):
                if where is not None:
                    where.append(p)
            if (text is None or html is None) and media(p["type"]):
                att.append(p)
        else:
            att.append(p)
    if multi == "alternative" and text is not None and html is not None:
        if ntext == len(text) and nhtml != len(html):
            text.extend(html[nhtml:])
        elif nhtml == len(html) and ntext != len(text):
            html.extend(text[ntext:])


ARGS = {"properties": ["from", "subject", "textBody", "htmlBody", "attachments", "bodyValues", "hasAttachment"], "fetchAllBodyValues": True,
        "bodyProperties": ["partId", "size", "name", "type", "charset", "disposition", "cid"]}
made = [message() for _ in range(400)]
lines = run(["get", json.dumps(ARGS)], b"".join(b"%d\n%s" % (len(m), m) for m, _, _ in made)).splitlines()
tm.is_(len(lines), len(made), "an Email for each message")
wrong = {k: [] for k in ("lists", "parts", "sizes", "texts", "people", "subjects")}
for (raw, people, subject), line in zip(made, lines):
    got, root = json.loads(line), describe(email.message_from_bytes(raw))
    text, html, att = [], [], []
    parse_structure([root], "mixed", False, html, text, att)
    for name, want in ("textBody", text), ("htmlBody", html), ("attachments", att):
        if [p["partId"] for p in got[name]] != [p["id"] for p in want]:
            wrong["lists"].append((name, raw))
        for p, w in zip(got[name], want):
            cid = w["py"]["Content-ID"]
            if (p["type"], p["name"], p["disposition"], p["cid"]) != (w["type"], w["name"], w["disposition"], cid and cid.strip("<>")):
                wrong["parts"].append((p, w))
            data = w["py"].get_payload(decode=True)
            if w["py"]["Content-Transfer-Encoding"] == "quoted-printable":
                data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            if p["size"] != len(data):
                wrong["sizes"].append((p, len(data)))
            if w["type"].startswith("text/"):
                value = got["bodyValues"][p["partId"]]
                plain = data.decode(w["py"].get_content_charset()).replace("\r\n", "\n")
                if value != {"value": plain, "isEncodingProblem": False, "isTruncated": False}:
                    wrong["texts"].append((value, plain))
    if [(p["name"], p["email"]) for p in got["from"]] != people:
        wrong["people"].append((got["from"], people))
    if got["subject"] != subject:
        wrong["subjects"].append((got["subject"], subject))
for what, cases in wrong.items():
    tm.ok(not cases, f"{what} are those of another reader") or tm.diag(repr(cases[0])[:3000])

# ---- and back: what is composed, python reads ----------------------------------------------------------

emails = []
for n in range(200):
    e = {"subject": " ".join(R.choice(WORDS) for _ in range(R.randint(1, 9))),
         "from": [{"name": R.choice(WORDS), "email": "a@b.example"}], "to": [{"name": None, "email": f"u{n}@x.example"}],
         "messageId": [f"{n}@x"], "references": [f"{k}@x" for k in range(R.randint(1, 30))],
         "bodyValues": {"t": {"value": "\n".join(R.choice(WORDS) for _ in range(R.randint(0, 40)))},
                        "h": {"value": "<p>" + R.choice(WORDS) * R.randint(1, 400) + "</p>"}},
         "textBody": [{"partId": "t"}], "htmlBody": [{"partId": "h", "type": "text/html"}],
         "attachments": [{"blobId": "".join(R.choice(WORDS) for _ in range(R.randint(0, 90))) + "!", "name": R.choice(WORDS), "type": "application/x-y"}
                         for _ in range(R.randint(0, 3))]}
    emails.append(e)
out = run(["compose"], b"".join(json.dumps(e).encode() + b"\n" for e in emails))
wrong = {k: [] for k in ("headers", "texts", "attachments", "defects", "lines")}
for e in emails:
    n, out = out.split(b"\n", 1)
    raw, out = out[:int(n)], out[int(n):]
    m = email.message_from_bytes(raw, policy=email.policy.SMTP)
    addresses = [(a.display_name, a.addr_spec) for a in m["From"].addresses]
    if (str(m["Subject"]), addresses, m["Message-ID"], re.sub(r"\s+", " ", m["References"])) != (
            e["subject"], [(e["from"][0]["name"], "a@b.example")], f"<{e['messageId'][0]}>", " ".join(f"<{r}>" for r in e["references"])):
        wrong["headers"].append((str(m["Subject"]), addresses, e["subject"], e["from"]))
    body, html = m.get_body(("plain",)), m.get_body(("html",))
    texts = [p.get_content().replace("\r\n", "\n").rstrip("\n") for p in (body, html)]  # the last line end may be python's
    if texts != [e["bodyValues"][k]["value"].rstrip("\n") for k in "th"]:
        wrong["texts"].append((texts, e["bodyValues"]))
    got = [(a.get_filename(), a.get_content().decode(), a.get_content_disposition()) for a in m.iter_attachments()] if e["attachments"] else []
    if got != [(a["name"], a["blobId"], "attachment") for a in e["attachments"]]:
        wrong["attachments"].append((got, e["attachments"]))
    if m.defects or any(p.defects for p in m.walk()):
        wrong["defects"].append([p.defects for p in m.walk()])
    if any(len(line) > 998 or b"\r" in line for line in raw.split(b"\r\n")) or not raw.isascii():
        wrong["lines"].append(raw)
for what, cases in wrong.items():
    tm.ok(not cases, f"composed: {what}") or tm.diag(repr(cases[0])[:3000])
tm.done()
