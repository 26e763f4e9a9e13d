# SPDX-License-Identifier: MIT
# The fuzzers: spec/fuzz/fuzz_NAME.c, with inputs in spec/fuzz/corpus/NAME.
set(fuzzers
)
