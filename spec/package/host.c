/* SPDX-License-Identifier: MIT */
/* A host that knows of Dewar only what is installed: loads an app, asks it. */
#include <dewar.h>
#include <stdio.h>
#include <string.h>

static const char app[] = "local dewar = require 'dewar'\n"
                          "local app = dewar.app()\n"
                          "app:get('/<name>', function(req, name)\n"
                          "  return 'Hello, ' .. name\n"
                          "end)\n"
                          "return app\n";

static void answered(void *data, int status, const dewar_response *response) {
  int *answers = data;
  if (status == 0 && response->status == 200 && response->body_len == 10 &&
      memcmp(response->body, "Hello, Ada", 10) == 0)
    ++*answers;
}

int main(void) {
  dewar_runtime *rt;
  int answers = 0;
  int code = dewar_new(&rt, NULL);
  if (code == 0) code = dewar_load_string(rt, app, sizeof app - 1, "app");
  if (code == 0)
    code = dewar_request(rt, "GET", "/Ada", NULL, NULL, 0, answered, &answers);
  if (code == 0) code = dewar_run(rt);
  if (code < 0)
    fprintf(stderr, "%s\n%s\n", dewar_strerror(code), dewar_error(rt));
  dewar_free(rt);
  printf("dewar %s: %d answers\n", dewar_version(), answers);
  return code == 0 && answers == 1 ? 0 : 1;
}
