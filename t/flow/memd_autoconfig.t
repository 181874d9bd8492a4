#!/usr/bin/env python3
"""Where mail programs find their servers: what memd tells Thunderbird and Outlook, asked by curl and read by a parser of
XML; of which domain, and what it does with whoever asks wrongly."""
import os, re, subprocess, sys, urllib.parse
import xml.etree.ElementTree as xml

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm

tm.need("curl")
SERVICES = "imaps://mail.example.test imap://mail.example.test:1143 pop3s://mail.example.test submissions://out.example.test:4465 submission://out.example.test"
sb = tm.Sandbox("--users", "1", *(w for d in ("smtp-relay", "jobctl", "imapd", "pop3d", "lmtpd", "mmpd", "stored", "jmapd", "sieved") for w in ("--without", d)),
                "--set", f"memd.autoconfig *.services={SERVICES}",
                "--set", "memd.autoconfig xn--grn-ioa.test.services=imaps://g.example.test submissions://g.example.test",
                "--set", "memd.autoconfig xn--grn-ioa.test.name=Grün & <Söhne>")
BASE = f"https://{sb.host}:{sb.port('HTTPS')}"
THUNDERBIRD = ("/.well-known/autoconfig/mail/config-v1.1.xml", "/mail/config-v1.1.xml")
OUTLOOK = ("/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml")
MS = "http://schemas.microsoft.com/exchange/autodiscover/"
SCHEMA = MS + "outlook/responseschema/2006a"


def curl(path, *how):
    """(status, fields in lower case, body)"""
    out = tm.tempdir()
    r = subprocess.run(["curl", "-sS", "--cacert", sb.env["CAFILE"], "-D", out + "/head", "-o", out + "/body", "-w", "%{http_code}", *how, BASE + path],
                       capture_output=True, text=True, timeout=tm.LONG)
    tm.is_(r.stderr, "", f"curl {path[:60]}") if r.stderr else None
    with open(out + "/head") as f:
        fields = dict((k.lower(), v.strip()) for k, _, v in (line.partition(":") for line in f) if v)
    try:
        with open(out + "/body", "rb") as f:
            return int(r.stdout), fields, f.read()
    except FileNotFoundError:
        return int(r.stdout), fields, b""


def thunderbird(query="", path=THUNDERBIRD[1], *how):
    return curl(path + query, *how)


def of(address, **more):
    return "?" + urllib.parse.urlencode({"emailaddress": address, **more})


def outlook(address, schema=SCHEMA, path=OUTLOOK[0]):
    body = xml.Element("Autodiscover", xmlns=MS + "outlook/requestschema/2006")
    ask = xml.SubElement(body, "Request")
    xml.SubElement(ask, "EMailAddress").text = address
    if schema:
        xml.SubElement(ask, "AcceptableResponseSchema").text = schema
    return curl(path, "-H", "Content-Type: text/xml", "--data-binary", xml.tostring(body, "unicode"))


def servers(root):
    """[(direction, type, host, port, socket, user)]"""
    return [(s.tag[:3], s.get("type"), *(s.find(t).text for t in ("hostname", "port", "socketType", "username")))
            for s in root.find("emailProvider") if s.tag.endswith("Server")]


# ---- Thunderbird's
WANT = [("inc", "imap", "mail.example.test", "993", "SSL", "%EMAILADDRESS%"), ("inc", "imap", "mail.example.test", "1143", "STARTTLS", "%EMAILADDRESS%"),
        ("inc", "pop3", "mail.example.test", "995", "SSL", "%EMAILADDRESS%"), ("out", "smtp", "out.example.test", "4465", "SSL", "%EMAILADDRESS%"),
        ("out", "smtp", "out.example.test", "587", "STARTTLS", "%EMAILADDRESS%")]
for path in THUNDERBIRD:
    status, fields, body = thunderbird(of("someone@example.test"), path)
    tm.is_((status, fields["content-type"], fields["cache-control"]), (200, "text/xml; charset=utf-8", "max-age=3600"), f"{path} is told, and may be kept")
    root = xml.fromstring(body)
    tm.is_((root.tag, root.get("version"), root[0].get("id"), root[0].find("domain").text, root[0].find("displayName").text),
           ("clientConfig", "1.1", "example.test", "example.test", "example.test"), "of the address's domain")
    tm.is_(servers(root), WANT, "all servers, in the order of the configuration")
for host, domain in (("autoconfig.other.test", "other.test"), ("AutoConfig.Other.Test:443", "other.test"), ("other.test", "other.test")):
    status, _, body = thunderbird("", THUNDERBIRD[1], "-H", "Host: " + host)
    tm.is_((status, xml.fromstring(body)[0].get("id")), (200, domain), f"without an address it is that of {host}")
root = xml.fromstring(thunderbird(of("kurt@grün.test"))[2])
tm.is_((root[0].get("id"), root[0].find("displayName").text, servers(root)[0][2]), ("xn--grn-ioa.test", "Grün & <Söhne>", "g.example.test"),
       "a domain with a section of its own has its servers, and its name whatever is in it")
tm.is_(thunderbird(of("a@xn--grn-ioa.test"))[2], thunderbird(of("a@GRÜN.test"))[2], "which is one domain however it is written")
tm.is_(thunderbird(of('"<&>"@example.test'))[0], 200, "an odd address is one")
for bad in ("someone", "a@b@example.test", "@example.test", "a@<x>.test", "a@-x.test", "a" * 70 + "@example.test"):
    tm.is_(thunderbird(of(bad))[0], 400, f"{bad[:20]!r} is no address")
for query in ("?emailaddress=%", "?emailaddress=%4", "?emailaddress=a%00@example.test", "?emailaddress=a%20b@example.test", "?emailaddress=" + "a" * 800, "?emailaddress=%ff%fe@example.test"):
    tm.is_(thunderbird(query)[0], 400, f"{query[:30]} is malformed")
tm.is_(thunderbird("", THUNDERBIRD[1], "-H", "Host: [::1]")[0], 404, "an address of a host is no domain")
tm.is_(thunderbird(of("a@[127.0.0.1]"))[0] in (400, 404), True, "nor is one in a mail address")
tm.is_(thunderbird(of("a@example.test"), THUNDERBIRD[1], "-X", "DELETE")[0], 405, "it is read alone")
status, fields, body = thunderbird(of("a@example.test"), THUNDERBIRD[1], "-I")
tm.is_((status, body, int(fields["content-length"]) > 100), (200, body, True), "HEAD has its length")

# ---- Outlook's
NS = {"a": MS + "responseschema/2006", "o": SCHEMA}
for path in OUTLOOK:
    status, fields, body = outlook("Some.One@example.test", path=path)
    tm.is_((status, fields["content-type"], fields["cache-control"]), (200, "text/xml; charset=utf-8", "no-store"), f"{path} is told, and not kept")
    found = [tuple(p.find("o:" + t, NS).text for t in ("Type", "Server", "Port", "SSL", "Encryption", "LoginName", "SPA"))
             for p in xml.fromstring(body).findall("o:Response/o:Account/o:Protocol", NS)]
    tm.is_(found, [(t, h, p, "on", e, "Some.One@example.test", "off") for t, h, p, e in (
        ("IMAP", "mail.example.test", "993", "SSL"), ("IMAP", "mail.example.test", "1143", "TLS"), ("POP3", "mail.example.test", "995", "SSL"),
        ("SMTP", "out.example.test", "4465", "SSL"), ("SMTP", "out.example.test", "587", "TLS"))], "the same servers, with the login")
root = xml.fromstring(outlook("o'neil&<sons>\"@grün.test".replace("<sons>\"", "sons"))[2])
tm.is_((root.find("o:Response/o:User/o:DisplayName", NS).text, root.find(".//o:LoginName", NS).text), ("Grün & <Söhne>", "o'neil&sons@grün.test"),
       "what XML has other words for comes back as it was")
tm.is_(outlook("a@example.test", None)[0], 200, "who says no schema means that one")
body = outlook("a@example.test", MS + "mobilesync/responseschema/2006")[2]
tm.is_(xml.fromstring(body).findtext("a:Response/a:Error/a:ErrorCode", None, NS), "601", "another schema has no provider here")
tm.is_(curl(OUTLOOK[0])[0], 405, "GET is none of it")
for bad in ("", "<Autodiscover/>", "<EMailAddress>", "<EMailAddress></EMailAddress>", "<EMailAddress>a@b.test", "<EMailAddress>nobody</EMailAddress>",
            "<EMailAddress>a&x;@b.test</EMailAddress>", "<EMailAddress>a<b/>@b.test</EMailAddress>", "<EMailAddress>" + "a" * 900 + "@b.test</EMailAddress>"):
    tm.is_(curl(OUTLOOK[0], "-H", "Content-Type: text/xml", "--data-binary", bad)[0], 400, f"no question: {bad[:40]!r}")
tm.is_(curl(OUTLOOK[0], "--http1.1", "--data-binary", "x" * 5000)[0], 413, "nor is one without end")
counted = re.search(r"(?m)^tiermail_mem_autoconfigs_total(?:\{.*?\})? (\d+)", sb.tool("tmctl", "-d", "memd", "metrics").stdout)
tm.ok(counted and int(counted[1]) > 10, "they are counted")

# ---- configuration
with open(sb.conf("memd.conf")) as f:
    good = f.read()


def checked(text):
    with open(sb.conf("memd.conf"), "w") as f:
        f.write(text)
    r = sb.tool("memd", "-n", "-c", sb.conf("memd.conf"))
    return r.returncode, r.stderr


for words, why in (("imaps://mail.example.test", "none to send mail by"), ("submission://x.test", "none to read mail by"), ("imap.example.test", "not like imaps://"),
                   ("https://x.test", "not like imaps://"), ("imaps://x.test:0 submission://x.test", "not like imaps://"),
                   ("imaps://x_y:993 submission://x.test", "not like imaps://"), ("imaps://x.test: submission://x.test", "not like imaps://")):
    code, said = checked(good + f"\n[autoconfig new.test]\nservices = {words}\n")
    tm.ok(code == 78 and why in said and "memd.conf:" in said, f"services = {words} is refused") or tm.diag((code, said))
code, said = checked(good + "\n[autoconfig new.test]\nname = x\n")
tm.ok(code == 78 and "services" in said, "a section without services is refused") or tm.diag((code, said))
code, said = checked(good + "\n[autoconfig a b]\nservices = imaps://x.test submission://x.test\n")
tm.is_(code, 78, "nor one of what is no domain") or tm.diag(said)
bare = good.replace("[autoconfig *]", "[autoconfig only.test]")
tm.is_(checked(bare)[0], 0, "a section of one domain")
sb.tool("tmctl", "-d", "memd", "reload")
tm.ok(tm.wait_for(lambda: thunderbird(of("a@example.test"))[0] == 404), "after a reload another domain is nothing")
tm.is_((thunderbird(of("a@only.test"))[0], outlook("a@only.test")[0], outlook("a@example.test")[0]), (200, 200, 404), "but that one is")
tm.done()
