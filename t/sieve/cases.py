"""The golden set: t/sieve/cases/*, each case a script, a message and what must come of it.

A file is read line by line:

    message NAME            a message, up to a line "%%"; used from here on
    use NAME                one of this file's messages, or of messages
    with OPTIONS            options of sievetest from here on (empty: none)
    require NAME ...        what the following cases require
    y TEST    n TEST        the test is true, is not
    e TEST => WORDS         as a test it does not compile; the words stand in the error
    f TEST => WORDS         as a test it fails when it is run
    script TITLE            a whole script, up to a line "%%", and what comes of it:
    => LINE                     a line of sievetest's output, or several
    => error WORDS              it does not compile
    => fails WORDS              it fails when it is run

A case's name is FILE:LINE, its title what stands behind the word.  A line that ends in a backslash goes on in the next one.  "# RFC 5229 3.2"
and the like say where a case comes from.
"""
import glob, os, re, shlex

HERE = os.path.dirname(os.path.abspath(__file__))
MAIL = {}


class Case:
    def __init__(self, name, title, script, want, message, options):
        self.name, self.title, self.script, self.want = name, title, script, want
        self.message, self.options = message, options
        self.test = None  # what stands in `if`, of a case that is one
        self.require = ()


def _lines(path):
    with open(path, encoding="utf-8") as f:
        return f.read().split("\n")


def _block(lines, at):
    out = []
    while lines[at] != "%%":
        out.append(lines[at])
        at += 1
    return out, at + 1


def whole(require, test, yes="discard;"):
    need = "require [%s];\n" % ", ".join('"%s"' % r for r in require) if require else ""
    return "%sif %s { %s }\n" % (need, test, yes)


def read(path):
    lines, at, messages, options, require = _lines(path), 0, dict(MAIL), [], []
    message, base = "", os.path.basename(path)
    while at < len(lines):
        number, line = at + 1, lines[at]
        at += 1
        while line.endswith("\\") and not line.endswith("\\\\"):
            line, at = line[:-1] + lines[at].lstrip(), at + 1
        word, _, rest = line.partition(" ")
        name = "%s:%d" % (base, number)
        if word in ("", "#"):
            continue
        if word == "message":
            body, at = _block(lines, at)
            message = messages[rest] = "\n".join(body) + "\n"
            if base == "messages":
                MAIL[rest] = message
        elif word == "use":
            message = messages[rest]
        elif word == "with":
            options = shlex.split(rest)
        elif word == "require":
            require = rest.split()
        elif word in ("y", "n", "e", "f"):
            test, _, words = rest.partition(" => ")
            want = {"y": ["discard"], "n": ["keep :implicit"], "e": ["error " + words], "f": ["fails " + words]}[word]
            case = Case(name, rest, whole(require, test), want, message, options)
            case.test, case.require = test, tuple(require)
            yield case
        elif word == "script":
            body, at = _block(lines, at)
            want = []
            while at < len(lines) and lines[at].startswith("=> "):
                want.append(lines[at][3:])
                at += 1
            yield Case(name, rest, "\n".join(body) + "\n", want, message, options)
        else:
            raise SystemExit("%s: %s is no word of a case" % (name, word))


def everything():
    list(read(os.path.join(HERE, "cases", "messages")))
    for path in sorted(glob.glob(os.path.join(HERE, "cases", "*"))):
        if os.path.basename(path) != "messages":
            yield from read(path)
