;; SPDX-License-Identifier: GPL-2.0-only
(module (memory (export "memory") 1))
