/* SPDX-License-Identifier: MIT */
/* Mounted apps: where they are, and a request's way in and out. */
#include "app/mount.h"

#include "app/server.h"
#include "base/error.h"
#include "http/uri.h"

/* --- Mounting --------------------------------------------------------------*/

static int refuse(dw_buffer *message, int code, dw_slice prefix,
                  const char *what) {
  int rc = dw_buffer_append_slice(message, DW_LITERAL("'"));
  if (rc == 0) rc = dw_buffer_append_slice(message, prefix);
  if (rc == 0) rc = dw_buffer_append_slice(message, DW_LITERAL("'"));
  if (rc == 0) rc = dw_buffer_append(message, what, strlen(what));
  return rc == 0 ? code : DW_ENOMEM;
}

static bool is_dots(dw_slice segment) {
  return dw_slice_equal(segment, DW_LITERAL(".")) ||
         dw_slice_equal(segment, DW_LITERAL(".."));
}

/* What is wrong with a prefix, or NULL. */
static const char *problem(dw_slice prefix) {
  if (prefix.len > 0 && prefix.ptr[0] != '/') return " doesn't start with '/'";
  for (size_t i = 0; i < prefix.len; i++) {
    unsigned char c = (unsigned char)prefix.ptr[i];
    if (c < ' ' || c == 0x7f || strchr("<>%?#\\", c))
      return " has a character that a place to mount at can't have; it is "
             "plain text, without variables and escapes";
  }
  for (size_t from = 1, to; from <= prefix.len; from = to + 1) {
    for (to = from; to < prefix.len && prefix.ptr[to] != '/';) to++;
    dw_slice segment = dw_slice_of(prefix.ptr + from, to - from);
    if (segment.len == 0) return " has an empty segment";
    if (is_dots(segment)) return " has a segment that is '.' or '..'";
  }
  return NULL;
}

static bool leads_to(const dw_app *from, const dw_app *to) {
  if (from == to) return true;
  for (uint32_t i = 0; i < from->mounts.count; i++)
    if (leads_to(from->mounts.items[i].app, to)) return true;
  return false;
}

/* Whether path is the prefix, or lies below it. */
static bool is_below(dw_slice path, dw_slice prefix) {
  return path.len >= prefix.len &&
         memcmp(path.ptr, prefix.ptr, prefix.len) == 0 &&
         (path.len == prefix.len || path.ptr[prefix.len] == '/');
}

/* A rule that would never be reached any more, or NULL. */
static const dw_rule *covered_rule(const dw_app *app, dw_slice prefix) {
  for (size_t i = 0, n = dw_router_count(app->router); i < n; i++) {
    const dw_rule *rule = dw_router_rule(app->router, i);
    if (!dw_rule_is_build_only(rule) && is_below(dw_rule_text(rule), prefix))
      return rule;
  }
  return NULL;
}

static bool same_hosts(const dw_hosts *a, const dw_hosts *b) {
  return a->size == b->size &&
         (a->size == 0 || memcmp(a->names, b->names, a->size) == 0);
}

static int check(const dw_app *app, dw_slice prefix, const dw_hosts *hosts,
                 const dw_app *inner, dw_buffer *message) {
  const char *what = problem(prefix);
  if (what) return refuse(message, DEWAR_EINVAL, prefix, what);
  dw_slice shown = prefix.len > 0 ? prefix : DW_LITERAL("/");
  if (leads_to(inner, app))
    return refuse(message, DEWAR_EINVAL, shown,
                  inner == app ? ": an app can't be mounted in itself"
                               : ": this app is mounted in that one already, "
                                 "so each would lead to the other");
  for (uint32_t i = 0; i < app->mounts.count; i++)
    if (dw_slice_equal(app->mounts.items[i].prefix, prefix) &&
        same_hosts(&app->mounts.items[i].hosts, hosts))
      return refuse(message, DEWAR_EEXIST, shown,
                    " has an app mounted already");
  const dw_rule *rule = hosts->names ? NULL : covered_rule(app, prefix);
  if (!rule) return 0;
  int code = refuse(message, DEWAR_EEXIST, shown,
                    " would take all requests of this app's rule ");
  if (code == DEWAR_EEXIST)
    code = refuse(message, code, dw_rule_text(rule), "");
  return code;
}

/* Whether a is to be looked at before b. */
static bool goes_before(const dw_mount *a, const dw_mount *b) {
  bool for_hosts = a->hosts.names != NULL;
  if (for_hosts != (b->hosts.names != NULL)) return for_hosts;
  return a->prefix.len > b->prefix.len;
}

static void insert(dw_mounts *list, dw_mount mount) {
  uint32_t i = list->count++;
  for (; i > 0 && goes_before(&mount, &list->items[i - 1]); i--)
    list->items[i] = list->items[i - 1];
  list->items[i] = mount;
}

static int grow(dw_app *app) {
  dw_mounts *list = &app->mounts;
  if (list->count < list->cap) return 0;
  uint32_t more = list->cap ? list->cap * 2 : 4;
  dw_mount *items = dw_realloc(app->alloc, list->items,
                               list->cap * sizeof *items, more * sizeof *items);
  if (!items) return DW_ENOMEM;
  list->items = items;
  list->cap = more;
  return 0;
}

/* The prefix, decoded and as URLs have it. */
static int set_prefix(dw_mount *m, dw_slice prefix) {
  dw_buffer *text = &m->text;
  int code = dw_buffer_append_slice(text, prefix);
  if (code == 0) code = dw_percent_encode(text, prefix, "/!$&'()*+,;=:@");
  if (code < 0 || prefix.len == 0) return code;
  m->prefix = dw_slice_of(text->ptr, prefix.len);
  m->root = dw_slice_of(text->ptr + prefix.len, text->len - prefix.len);
  return 0;
}

static int set_hosts(dw_mount *m, dw_allocator *a, const dw_slice *hosts,
                     size_t nhosts, dw_buffer *message) {
  size_t bad;
  int code = dw_hosts_set(&m->hosts, a, hosts, nhosts, &bad);
  return code == DEWAR_EINVAL
             ? refuse(message, code, hosts[bad],
                      " is no host, such as \"api.example.com\" or "
                      "\".example.com\"")
             : code;
}

int dw_app_mount(dw_app *app, dw_slice prefix, const dw_slice *hosts,
                 size_t nhosts, dw_app *inner, dw_buffer *message) {
  if (app->frozen) return DEWAR_EMISUSE;
  if (prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/') prefix.len--;
  dw_mount m = {.prefix = DW_EMPTY, .root = DW_EMPTY, .app = inner};
  dw_buffer_init(&m.text, app->alloc, 0);
  int code = set_hosts(&m, app->alloc, hosts, nhosts, message);
  if (code == 0) code = check(app, prefix, &m.hosts, inner, message);
  if (code == 0) code = set_prefix(&m, prefix);
  if (code == 0) code = grow(app);
  if (code == 0) {
    insert(&app->mounts, m);
  } else {
    dw_buffer_deinit(&m.text);
    dw_hosts_deinit(&m.hosts, app->alloc);
  }
  return code;
}

void dw_app_freeze(dw_app *app) {
  app->frozen = true;
  for (uint32_t i = 0; i < app->mounts.count; i++)
    dw_app_freeze(app->mounts.items[i].app);
}

const dw_mount *dw_app_covers(const dw_app *app, dw_slice rule) {
  for (uint32_t i = 0; i < app->mounts.count; i++) {
    const dw_mount *m = &app->mounts.items[i];
    if (!m->hosts.names && is_below(rule, m->prefix)) return m;
  }
  return NULL;
}

static const dw_mount *find(const dw_app *app, dw_slice host, dw_slice path) {
  for (uint32_t i = 0; i < app->mounts.count; i++) {
    const dw_mount *m = &app->mounts.items[i];
    if (is_below(path, m->prefix) && dw_hosts_trust(&m->hosts, host)) return m;
  }
  return NULL;
}

/* --- Levels ----------------------------------------------------------------*/

static dw_level state_of(const dw_exchange *x) {
  return (dw_level){.session = x->session,
                    .app = x->app,
                    .scope = x->scope,
                    .root = x->http.request.root,
                    .path = x->path,
                    .raw_path = x->http.request.raw_path};
}

static void save(dw_exchange *x) {
  dw_level *l = x->level, now = state_of(x);
  now.outer = l->outer;
  now.inner = l->inner;
  now.depth = l->depth;
  *l = now;
}

static void move(dw_exchange *x, dw_level *to) {
  save(x);
  x->level = to;
  x->session = to->session;
  x->app = to->app;
  x->scope = to->scope;
  x->path = to->path;
  x->http.request.root = to->root;
  x->http.request.raw_path = to->raw_path;
  if (x->script) x->server->runner->moved(x);
}

bool dw_mount_leave(dw_exchange *x) {
  if (!x->level) return false;
  if (x->level->outer) {
    move(x, x->level->outer);
    return true;
  }
  dw_mount_return(x);
  return false;
}

void dw_mount_return(dw_exchange *x) {
  dw_level *l = x->level;
  if (!l || !l->inner) return;
  while (l->inner) l = l->inner;
  move(x, l);
}

static const dw_level *outermost(const dw_exchange *x) {
  const dw_level *l = x->level;
  while (l && l->outer) l = l->outer;
  return l == x->level ? NULL : l;
}

dw_slice dw_mount_whole_path(const dw_exchange *x) {
  const dw_level *l = outermost(x);
  return l ? l->path : x->path;
}

dw_slice dw_mount_whole_raw_path(const dw_exchange *x) {
  const dw_level *l = outermost(x);
  return l ? l->raw_path : x->http.request.raw_path;
}

void dw_mount_session_opened(dw_exchange *x, unsigned depth) {
  dw_level *l = x->level;
  if (dw_mount_depth(x) == depth) {
    x->session = true;
    return;
  }
  while (l->depth < depth && l->inner) l = l->inner;
  while (l->depth > depth) l = l->outer;
  l->session = true;
}

/* --- The way in ------------------------------------------------------------*/

static size_t count_slashes(dw_slice s) {
  size_t n = 0;
  for (size_t i = 0; i < s.len; i++) n += s.ptr[i] == '/';
  return n;
}

/* What is left of a path behind so many segments; "" becomes "/". As %2F stays
 * what it is, a path has as many slashes decoded as it has encoded. */
static dw_slice behind(dw_slice path, size_t segments) {
  size_t i = 0;
  for (size_t n = 0; i < path.len; i++)
    if (path.ptr[i] == '/' && n++ == segments) break;
  return i < path.len ? dw_slice_of(path.ptr + i, path.len - i)
                      : DW_LITERAL("/");
}

static bool join(dw_arena *arena, dw_slice a, dw_slice b, dw_slice *out) {
  if (a.len == 0 || b.len == 0) {
    *out = a.len == 0 ? b : a;
    return true;
  }
  char *text = dw_arena_alloc(arena, a.len + b.len);
  if (!text) return false;
  memcpy(text, a.ptr, a.len);
  memcpy(text + a.len, b.ptr, b.len);
  *out = dw_slice_of(text, a.len + b.len);
  return true;
}

/* The level inside of x's, which gets one, too, if it has none. */
static dw_level *add_level(dw_exchange *x) {
  dw_arena *arena = &x->http.request.arena;
  if (!x->level) x->level = dw_arena_zalloc(arena, sizeof *x->level);
  dw_level *l = x->level ? dw_arena_zalloc(arena, sizeof *l) : NULL;
  if (!l) return NULL;
  l->outer = x->level;
  l->depth = x->level->depth + 1;
  return l;
}

/* The limits are those of the mounted app, unless a middleware has set one for
 * this request. Time begins anew. */
static void take_limits(dw_exchange *x, const dw_app *outer) {
  const dw_limits *limits = &x->app->limits;
  if (x->max_content_length == outer->limits.max_content_length)
    x->max_content_length = limits->max_content_length;
  x->http.connection->limits = limits;
  dw_exchange_unlimit_time(x);
  (void)dw_exchange_limit_time(x, limits->request_timeout); /* or MATCH does */
}

dw_verdict dw_mount_enter(dw_exchange *x) {
  const dw_mount *m = find(x->app, x->http.request.host, x->path);
  if (!m) return DW_PASS;
  dw_app *outer = x->app;
  dw_level *l = add_level(x);
  if (!l ||
      !join(&x->http.request.arena, x->http.request.root, m->root, &l->root))
    return dw_exchange_fail(x, 503, "out of memory");
  size_t segments = count_slashes(m->prefix);
  l->app = m->app;
  l->scope = m->app->scope;
  l->path = behind(x->path, segments);
  l->raw_path = behind(x->http.request.raw_path, segments);
  x->level->inner = l;
  if (x->path.len == m->prefix.len) x->bare = true;
  move(x, l);
  take_limits(x, outer);
  return DW_DONE;
}

int dw_mount_redirect(dw_exchange *x) {
  const dw_request *r = &x->http.request;
  dw_slice to = DW_LITERAL("/");
  if (r->has_query) {
    char *text = dw_arena_alloc(&x->http.request.arena, r->query.len + 2);
    if (!text) return DW_ENOMEM;
    text[0] = '/';
    text[1] = '?';
    memcpy(text + 2, r->query.ptr, r->query.len);
    to = dw_slice_of(text, r->query.len + 2);
  }
  dw_match_release(&x->match);
  x->match.kind = DW_MATCH_REDIRECT;
  x->match.location = to;
  return 0;
}

/* --- The way of URLs -------------------------------------------------------*/

/* Appends the way from one app to another: 1, 0 where there is none on the
 * host.
 */
static int append_way(const dw_app *from, const dw_app *to, dw_slice host,
                      dw_buffer *out) {
  if (from == to) return 1;
  size_t len = out->len;
  for (uint32_t i = 0; i < from->mounts.count; i++) {
    const dw_mount *m = &from->mounts.items[i];
    if (!dw_hosts_trust(&m->hosts, host)) continue;
    if (dw_buffer_append_slice(out, m->root) < 0) return DW_ENOMEM;
    int code = append_way(m->app, to, host, out);
    if (code != 0) return code;
    out->len = len;
  }
  return 0;
}

int dw_mount_root(const dw_exchange *x, const dw_app *app, dw_buffer *out) {
  dw_level here = state_of(x);
  if (x->level) here.outer = x->level->outer;
  for (const dw_level *l = &here; l; l = l->outer) {
    size_t len = out->len;
    if (dw_buffer_append_slice(out, l->root) < 0) return DW_ENOMEM;
    int code = append_way(l->app, app, x->http.request.host, out);
    if (code != 0) return code;
    out->len = len;
  }
  return 0;
}
