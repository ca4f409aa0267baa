# SPDX-License-Identifier: GPL-2.0-only
"""The benchmark: the stock stack and ours, interleaved, in one boot of the emulated host."""
