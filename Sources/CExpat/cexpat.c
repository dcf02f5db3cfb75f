#include "cexpat.h"

#include <expat.h>
#include <limits.h>

struct state {
  XML_Parser parser;
  const struct cexpat_handler *handler;
};

static void XMLCALL begin(void *data, const XML_Char *name, const XML_Char **attributes) {
  struct state *s = data;
  if (!s->handler->begin(s->handler->context, name, attributes)) XML_StopParser(s->parser, XML_FALSE);
}

static void XMLCALL end(void *data, const XML_Char *name) {
  struct state *s = data;
  (void)name;
  if (!s->handler->end(s->handler->context)) XML_StopParser(s->parser, XML_FALSE);
}

static void XMLCALL text(void *data, const XML_Char *bytes, int count) {
  struct state *s = data;
  if (!s->handler->text(s->handler->context, bytes, (size_t)count)) {
    XML_StopParser(s->parser, XML_FALSE);
  }
}

static void XMLCALL doctype(
    void *data, const XML_Char *name, const XML_Char *system_id, const XML_Char *public_id,
    int has_subset) {
  struct state *s = data;
  (void)name, (void)system_id, (void)public_id, (void)has_subset;
  if (!s->handler->doctype(s->handler->context)) XML_StopParser(s->parser, XML_FALSE);
}

const char *cexpat_parse(const char *bytes, size_t count, const struct cexpat_handler *handler) {
  if (count > INT_MAX) return "too large";
  struct state state = {XML_ParserCreate(NULL), handler};
  if (!state.parser) return "out of memory";
  XML_SetUserData(state.parser, &state);
  XML_SetElementHandler(state.parser, begin, end);
  XML_SetCharacterDataHandler(state.parser, text);
  XML_SetStartDoctypeDeclHandler(state.parser, doctype);
  const char *problem = NULL;
  if (XML_Parse(state.parser, bytes, (int)count, XML_TRUE) != XML_STATUS_OK) {
    problem = XML_ErrorString(XML_GetErrorCode(state.parser));
    if (!problem) problem = "not well-formed";
  }
  XML_ParserFree(state.parser);
  return problem;
}
