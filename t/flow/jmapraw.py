"""JMAP as a client without a library speaks it: requests by hand, answers as they are."""
import base64
import http.client
import json
import ssl

CORE, MAIL = "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"


class Jmap:
    """A user's connection; opens it again when the server has closed it."""

    def __init__(self, sb, user=1, login=None, password=None, certificate=None):
        self.sb = sb
        self.context = ssl.create_default_context(cafile=sb.env["CAFILE"])
        if certificate:
            self.context.load_cert_chain(*certificate)
        login = login or sb.user(user)
        token = base64.b64encode(f"{login}:{password or sb.password}".encode()).decode()
        self.headers = {"Authorization": "Basic " + token}
        self.using = [CORE, MAIL]
        self.conn = None
        self.account = "u" + base64.urlsafe_b64encode(f"{sb.user(user)}@{sb.domain}".encode()).decode().rstrip("=")

    def http(self, method, path, body=None, headers=None, keep=True):
        if self.conn is None:
            self.conn = http.client.HTTPSConnection(self.sb.host, self.sb.port("JMAP"), context=self.context, timeout=60)
        self.conn.request(method, path, body, {**(self.headers if keep else {}), **(headers or {})})
        r = self.conn.getresponse()
        got = r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()
        if r.will_close:
            self.conn = None
        return got

    def post(self, body, headers=None):
        """(status, the JSON that came)"""
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        status, fields, got = self.http("POST", "/jmap/api", body, {"Content-Type": "application/json", **(headers or {})})
        return status, json.loads(got)

    def call(self, *calls, **more):
        """Answers of calls (name, arguments); ids are a, b, c ...; accountId is added."""
        methods = [[name, {"accountId": self.account, **args} if name != "Core/echo" else args, chr(97 + i)]
                   for i, (name, args) in enumerate(calls)]
        status, got = self.post({"using": self.using, "methodCalls": methods, **more})
        if status != 200:
            raise AssertionError(f"{status} {got}")
        return got["methodResponses"]

    def one(self, name, **args):
        """The arguments of the answer to one call; an error is ["error", type]."""
        (what, got, _), = self.call((name, args))
        return ["error", got["type"]] if what == "error" else got

    def boxes(self):
        """{name: mailbox}, with the names of parents."""
        list_ = {b["id"]: b for b in self.one("Mailbox/get", ids=None)["list"]}

        def name(b):
            return (name(list_[b["parentId"]]) + "/" if b["parentId"] else "") + b["name"]
        return {name(b): b for b in list_.values()}

    def emails(self, **filter_):
        return self.one("Email/query", filter=filter_ or None)["ids"]
