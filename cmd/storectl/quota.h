/* quota.h: limits that the store keeps itself, for storectl quota: quota-own.c. */
#ifndef STORECTL_QUOTA_H
#define STORECTL_QUOTA_H
#include "store/quota.h"

/* Appends what a report says behind an account with limits of its own; as members of its object, or words. */
void quota_own_add(struct buf *b, bool json, struct store_view *v, uint64_t account);
/* A line for each of its folders that has some. */
void quota_own_folders(bool json, struct store_view *v, struct slice name, uint64_t account);
/* "set" or "reset", then its options, account and folder.  Returns an exit code. */
int storectl_quota_own(int argc, char **argv);
#endif
