# SPDX-License-Identifier: MIT
# The fuzzers: spec/fuzz/fuzz_NAME.c, with inputs in spec/fuzz/corpus/NAME.
set(fuzzers
  fuzz_answer.c
  fuzz_conditional.c
  fuzz_connection.c
  fuzz_form.c
  fuzz_json.c
  fuzz_multipart.c
  fuzz_parser.c
  fuzz_router.c
)
if(DEWAR_WITH_WEBSOCKET)
  list(APPEND fuzzers fuzz_websocket.c)
endif()
