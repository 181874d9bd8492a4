/* base/scan.h: looking through many bytes at once for what is rare in them.
 *
 * Pure; for the parsers that see each octet of a message: a call for each line costs more than
 * the line.  None looks behind its slice; each answers for a part at the front and leaves the rest,
 * the last hundred bytes at least, to a loop of the caller's that goes line by line. */
#ifndef BASE_SCAN_H
#define BASE_SCAN_H
#include "base/slice.h"

/* Octets at the front, a multiple of some dozens, in which no line end is followed by `mark`
 * (0: whatever follows; the octet behind is looked at).  Adds the line ends in them to *lines. */
size_t scan_lines(struct slice s, char mark, size_t *lines);

/* Octets at the front in which CR and LF come as CRLF only, and no dot behind one.  Does not end
 * between CR and LF; what stands before `s` is the caller's to know. */
size_t scan_crlf(struct slice s);

/* Is all of it printable ASCII and blanks, without any of the two characters `not`? */
bool scan_plain(struct slice s, const char not [2]);
#endif
