# SPDX-License-Identifier: MIT
"""The benchmark's driver; scripts/bench runs it."""
