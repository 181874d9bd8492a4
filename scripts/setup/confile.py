"""Reads and edits the suite's configuration files as text, so that an administrator's comments, order and
further keys stay: a key that is shown in a comment becomes a line there, a missing one goes to the end of
its section.  The syntax is that of tiermail.conf(5); what a key means, the daemons say (-n)."""
import contextlib
import os
import pwd
import re
import tempfile

import host

KEY = re.compile(r"^[ \t]*([a-z_][a-z0-9_.-]*)[ \t]*=[ \t]*(.*)$")
SHOWN = re.compile(r"^#[ \t]?([a-z_][a-z0-9_.-]*)[ \t]*=[ \t]*(.*)$")
SECTION = re.compile(r"^[ \t]*\[([^\]]+)\]")
COMMENT = re.compile(r"(?:^|[ \t]+)#.*$")


def bare(value):
    """A value without its comment and quotes."""
    if value.startswith('"'):
        m = re.match(r'"((?:[^"\\]|\\.)*)"', value)
        return re.sub(r"\\(.)", r"\1", m.group(1)) if m else value
    return COMMENT.sub("", value).strip()


def quoted(value):
    if value and not re.search(r'["\\#]|^\s|\s$', value):
        return value
    return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')


def lines_of(text):
    """Yields (number of its first line, number of lines, section, key, value) of every key."""
    section, lines, i = "", text.split("\n"), 0
    while i < len(lines):
        n = 1
        m = SECTION.match(lines[i])
        if m:
            section = " ".join(m.group(1).split())
        m = KEY.match(lines[i])
        if m and not m.group(2).startswith("#"):
            value = m.group(2)
            while value.endswith("\\") and i + n < len(lines):
                value = value[:-1] + lines[i + n].strip()
                n += 1
            yield i, n, section, m.group(1), bare(value)
        i += n


def full(section, key):
    """[ldap] base and ldap.base are one key; a section with a name is apart."""
    return (section, key) if " " in section or not section else ("", section + "." + key)


def values(path, seen=()):
    """{(section, key): value} of a file and of what it includes."""
    found = {}
    text = host.read(path)
    if text is None or path in seen:
        return found
    for line in text.split("\n"):
        m = re.match(r"^[ \t]*include[ \t]+(\S+)", line)
        if m:
            found.update(values(os.path.join(os.path.dirname(path), m.group(1)), (*seen, path)))
    for _, _, section, key, value in lines_of(text):
        found[full(section, key)] = value
    return found


def get(path, key, default=""):
    return values(path).get(("", key), default)


def where_of(lines, section):
    """(the line of a section's head, the line behind its last); -1 when there is no such section."""
    heads = [i for i, line in enumerate(lines) if SECTION.match(line)]
    if not section:
        return -1, heads[0] if heads else len(lines)
    for n, i in enumerate(heads):
        if " ".join(SECTION.match(lines[i]).group(1).split()) == section:
            return i, heads[n + 1] if n + 1 < len(heads) else len(lines)
    return None


def edit(text, section, key, value):
    """The text with the key set; as it is when it is set so already."""
    lines = text.split("\n")
    for i, n, s, k, old in lines_of(text):
        if full(s, k) == full(section, key):
            if old == value:
                return text
            tail = COMMENT.search(lines[i]) if not lines[i].rstrip().endswith("\\") else None
            lines[i:i + n] = ["%s = %s%s" % (k, quoted(value), tail.group(0) if tail else "")]
            return "\n".join(lines)
    at = where_of(lines, section)
    if at is None:
        return text.rstrip("\n") + "\n\n[%s]\n%s = %s\n" % (section, key, quoted(value))
    begin, end = at
    for i in range(begin + 1, end):
        m = SHOWN.match(lines[i])
        if m and m.group(1) == key:
            tail = COMMENT.search(m.group(2))
            lines[i] = "%s = %s%s" % (key, quoted(value), "\t\t" + tail.group(0).lstrip() if tail else "")
            return "\n".join(lines)
    while end > begin + 1 and not lines[end - 1].strip():
        end -= 1
    # what stands right above the next head is that section's comment
    while end > begin + 1 and at[1] < len(lines) and lines[end - 1].startswith("#") and not KEY.match(lines[end - 1]) \
            and not SHOWN.match(lines[end - 1]):
        end -= 1
    while end > begin + 1 and not lines[end - 1].strip():
        end -= 1
    lines.insert(end, "%s = %s" % (key, quoted(value)))
    return "\n".join(lines)


def changed(path, settings):
    """(the text as it would be, [(key, old, new)] of those that had another value) for settings
    {(section, key): value}."""
    text = host.read(path) or ""
    have, conflicts = values(path), []
    for (section, key), value in settings.items():
        old = have.get(full(section, key))
        if old is not None and old != value:
            conflicts.append((full(section, key)[1], old, value))
        if old != value:
            text = edit(text, section, key, value)
    return text, conflicts


def secret_file(value, conf):
    """Where a secret's value says that it is, or None."""
    if value.startswith("credential:"):
        return "%s/etc/credstore/%s" % (get(conf, "prefix"), value[11:])
    return value[5:] if value.startswith("file:") else None


@contextlib.contextmanager
def credentials(conf, own, who):
    """What systemd would give the unit of a daemon: {} or the environment with a folder of them, for `who` to read."""
    names = [v for path in (conf, own) for v in values(path).values() if v.startswith("credential:")]
    if not names or not who:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="tiermail-setup.") as d:
        for value in names:
            text = host.read(secret_file(value, conf))
            if text is not None:
                host.put(os.path.join(d, value[11:]), text, 0o400, owner=pwd.getpwuid(who["user"]), said=False)
        os.chown(d, who["user"], -1)
        yield {"env": {**os.environ, "LC_ALL": "C.UTF-8", "CREDENTIALS_DIRECTORY": d}}


def effective(daemon, conf, who=None):
    """(what DAEMON -n prints: {section: {key: value}}, or None when it is refused; what it complains of), run as
    `who`, keywords of subprocess."""
    own = os.path.join(os.path.dirname(conf), daemon + ".conf")
    with credentials(conf, own, who) as how:
        code, out, err = host.run([host.program(daemon), "-n", "-c", own], **(who or {}), **how)
    found, section = {"": {}}, ""
    for line in out.split("\n"):
        m = re.match(r"\[(.+)\]$", line)
        if m:
            section = m.group(1)
            found[section] = {}
            continue
        m = re.match(r"(\S+) = (.*?) +# \S.*$", line)
        if m:
            found[section][m.group(1)] = bare(m.group(2))
    return (found if code == 0 else None), err.strip()
