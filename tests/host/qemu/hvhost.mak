# SPDX-License-Identifier: GPL-2.0-only
# Devices of the machine that guests are tested on.
CONFIG_I440FX=y
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_SERIAL=y
CONFIG_VIRTIO_RNG=y
CONFIG_ISA_DEBUG=y
