/* base/nfc.h: Unicode text composed (Normalization Form C, Unicode Standard Annex 15), as JMAP gives names
 * and subjects (RFC 8621 4.1.2.2). */
#ifndef BASE_NFC_H
#define BASE_NFC_H
#include "base/buf.h"

/* Appends s (UTF-8; bad bytes become U+FFFD) in form C.  Linear: a run of more than NFC_RUN_MAX characters
 * that all belong to one before them (no language has such) is composed in pieces of that length. */
#define NFC_RUN_MAX 128
void nfc_to(struct buf *b, struct slice s);
#endif
