/* SPDX-License-Identifier: MIT */
/* core.net.lookup and reverse: names, as the system resolves them, on a thread
 * of the pool. Thread: the loop's, but for run. */
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "base/error.h"
#include "bindings/offload.h"
#include "bindings/socket.h"

typedef struct dns_call {
  dw_offload base;
  bool reverse;
  int family;
  struct addrinfo *found;
  char name[NI_MAXHOST]; /* what was asked, and for reverse what was found */
  char host[NI_MAXHOST];
} dns_call;

static dns_call *of(dw_offload *o) { return DW_CONTAINER(o, dns_call, base); }

static int code_of(int error) {
  switch (error) {
  case 0:
    return 0;
  case EAI_AGAIN:
    return UV_EAI_AGAIN;
  case EAI_BADFLAGS:
    return UV_EAI_BADFLAGS;
  case EAI_FAIL:
    return UV_EAI_FAIL;
  case EAI_FAMILY:
    return UV_EAI_FAMILY;
  case EAI_MEMORY:
    return UV_EAI_MEMORY;
  case EAI_SERVICE:
    return UV_EAI_SERVICE;
  case EAI_SOCKTYPE:
    return UV_EAI_SOCKTYPE;
#ifdef EAI_OVERFLOW
  case EAI_OVERFLOW:
    return UV_EAI_OVERFLOW;
#endif
  default:
    return UV_EAI_NONAME;
  }
}

static int find_name(dns_call *c) {
  struct sockaddr_in6 in6 = {0};
  struct sockaddr_in in = {0};
  const struct sockaddr *address = (const struct sockaddr *)&in;
  socklen_t len = sizeof in;
  if (uv_ip4_addr(c->name, 0, &in) != 0) {
    if (uv_ip6_addr(c->name, 0, &in6) != 0) return UV_EINVAL;
    address = (const struct sockaddr *)&in6;
    len = sizeof in6;
  }
  return code_of(
      getnameinfo(address, len, c->host, sizeof c->host, NULL, 0, NI_NAMEREQD));
}

static void run(dw_offload *o) {
  dns_call *c = of(o);
  struct addrinfo hints = {.ai_family = c->family, .ai_socktype = SOCK_STREAM};
  if (c->reverse)
    o->code = find_name(c);
  else
    o->code = code_of(getaddrinfo(c->name, NULL, &hints, &c->found));
}

static void deinit(dw_offload *o) {
  if (of(o)->found) freeaddrinfo(of(o)->found);
}

static bool push_address(lua_State *L, const struct sockaddr *address) {
  char text[64];
  if (address->sa_family == AF_INET)
    uv_ip4_name((const struct sockaddr_in *)address, text, sizeof text);
  else if (address->sa_family == AF_INET6)
    uv_ip6_name((const struct sockaddr_in6 *)address, text, sizeof text);
  else
    return false;
  lua_pushstring(L, text);
  return true;
}

static int push(lua_State *L, dw_offload *o) {
  const dns_call *c = of(o);
  if (c->reverse) {
    lua_pushstring(L, c->host);
    return 1;
  }
  lua_newtable(L);
  lua_Integer n = 0;
  for (const struct addrinfo *i = c->found; i; i = i->ai_next)
    if (push_address(L, i->ai_addr)) lua_rawseti(L, -2, ++n);
  return 1;
}

static void describe(lua_State *L, const dw_offload *o) {
  const dns_call *c = DW_CONTAINER(o, const dns_call, base);
  lua_pushfstring(L, "%s %s", c->reverse ? "reverse" : "lookup", c->name);
}

static const dw_offload_type type = {
    .name = "name lookup",
    .run = run,
    .deinit = deinit,
    .push = push,
    .describe = describe,
};

static int ask(lua_State *L, bool reverse, int family, double seconds) {
  dw_script *s = dw_script_of(L);
  size_t len;
  const char *name = luaL_checklstring(L, 1, &len);
  if (strlen(name) != len || len == 0 || len >= NI_MAXHOST)
    return dw_misuse(L, "lookup: a name has 1 to %d bytes, and no NUL",
                     NI_MAXHOST - 1);
  dns_call *c = dw_offload_new(L, s, &type, sizeof *c);
  memcpy(c->name, name, len + 1);
  c->reverse = reverse;
  c->family = family;
  return dw_offload_start(L, s, &c->base, seconds);
}

/* lookup(name, 4 | 6 | nil, seconds) -> a list of addresses */
static int dns_lookup(lua_State *L) {
  lua_Integer family = luaL_optinteger(L, 2, 0);
  return ask(L, false,
             family == 4 ? AF_INET : (family == 6 ? AF_INET6 : AF_UNSPEC),
             dw_opt_seconds(L, 3, "lookup"));
}

/* reverse(address, seconds) -> a name */
static int dns_reverse(lua_State *L) {
  return ask(L, true, AF_UNSPEC, dw_opt_seconds(L, 2, "reverse"));
}

void dw_dns_open(lua_State *L, dw_script *s) {
  static const luaL_Reg functions[] = {
      {"lookup", dns_lookup}, {"reverse", dns_reverse}, {NULL, NULL}};
  dw_script_register(L, s, functions);
}
