;; SPDX-License-Identifier: GPL-2.0-only
;; Its start function has no end.
(module
 (memory (export "memory") 1)
 (func $s (loop $l (br $l)))
 (start $s)
 (func (export "pulse_handle") (param i32) (result i32) (i32.const 0)))
