/*
 * expat, one call for a whole document: see expat.h. No header of the system is included but
 * stddef.h, for the reason that ccurl.h gives.
 */
#ifndef LIFEBOAT_CEXPAT_H
#define LIFEBOAT_CEXPAT_H

#include <stddef.h>

#pragma clang assume_nonnull begin

/* Called in the order of the document. Returning 0 ends the parsing. Texts are UTF-8. */
struct cexpat_handler {
  void *context;
  /* Attributes: names and values in turn, with a NULL at the end. */
  int (*begin)(
      void *context, const char *name, const char *_Nullable const *_Nonnull attributes);
  int (*text)(void *context, const char *bytes, size_t count);
  int (*end)(void *context);
  /* A document type declaration begins. */
  int (*doctype)(void *context);
};

/* NULL when the document is well-formed and no handler ended it, else what is wrong with it. */
const char *_Nullable cexpat_parse(
    const char *_Nullable bytes, size_t count, const struct cexpat_handler *handler);

#pragma clang assume_nonnull end

#endif
