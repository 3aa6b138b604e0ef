;; SPDX-License-Identifier: GPL-2.0-only
;; Each type of event is one call of WASI, or of what is not there of it.
(module
 (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
 (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fdstat (param i32 i32) (result i32)))
 (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
 (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
 (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
 (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
 (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
 (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
 (import "wasi_snapshot_preview1" "path_open"
  (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
 (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
 (import "pulse" "message_len" (func $len (result i32)))
 (memory (export "memory") 1)
 ;; two pieces, "hello " and "wasi\nmore", and one that is not there
 (data (i32.const 16) "\40\00\00\00\06\00\00\00\46\00\00\00\09\00\00\00\ff\ff\00\00\02\00\00\00")
 (data (i32.const 64) "hello wasi\nmore")
 (data (i32.const 100) "\ff\ff\ff\ff\ff\ff\ff\ff")
 (func (export "pulse_handle") (param $t i32) (result i32)
  ;; 1: to standard error: how much; 2: no such file; 3: beyond its memory
  (if (i32.eq (local.get $t) (i32.const 1)) (then
   (return (i32.add (call $write (i32.const 2) (i32.const 16) (i32.const 2) (i32.const 8))
    (i32.load (i32.const 8))))))
  (if (i32.eq (local.get $t) (i32.const 2)) (then
   (return (call $write (i32.const 7) (i32.const 16) (i32.const 1) (i32.const 8)))))
  (if (i32.eq (local.get $t) (i32.const 3)) (then
   (return (call $write (i32.const 1) (i32.const 16) (i32.const 3) (i32.const 8)))))
  (if (i32.eq (local.get $t) (i32.const 4)) (then
   (return (call $write (i32.const 1) (i32.const 65532) (i32.const 1) (i32.const 8)))))
  ;; 5: a clock that goes; 6: none such; 7: nowhere to put it
  (if (i32.eq (local.get $t) (i32.const 5)) (then
   (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 32)))
   (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 40)))
   (return (i64.ge_u (i64.load (i32.const 40)) (i64.load (i32.const 32))))))
  (if (i32.eq (local.get $t) (i32.const 6)) (then
   (return (call $clock (i32.const 9) (i64.const 0) (i32.const 32)))))
  (if (i32.eq (local.get $t) (i32.const 7)) (then
   (return (call $clock (i32.const 0) (i64.const 0) (i32.const 65532)))))
  ;; 8: random bytes are not all zero; 9: nowhere to put them
  (if (i32.eq (local.get $t) (i32.const 8)) (then
   (drop (call $random (i32.const 32) (i32.const 16)))
   (return (i64.ne (i64.or (i64.load (i32.const 32)) (i64.load (i32.const 40))) (i64.const 0)))))
  (if (i32.eq (local.get $t) (i32.const 9)) (then
   (return (call $random (i32.const 0) (i32.const -1)))))
  ;; 10: no arguments and no environment
  (if (i32.eq (local.get $t) (i32.const 10)) (then
   (drop (call $args (i32.const 100) (i32.const 104)))
   (return (i32.add (i32.load (i32.const 100)) (i32.load (i32.const 104))))))
  (if (i32.eq (local.get $t) (i32.const 11)) (then
   (return (call $environ (i32.const 65533) (i32.const 104)))))
  ;; 12: standard output is a terminal; 13: no folder was opened for it
  (if (i32.eq (local.get $t) (i32.const 12)) (then
   (drop (call $fdstat (i32.const 1) (i32.const 32)))
   (return (i32.load8_u (i32.const 32)))))
  (if (i32.eq (local.get $t) (i32.const 13)) (then
   (return (call $prestat (i32.const 3) (i32.const 32)))))
  ;; 14, 15: what is not there
  (if (i32.eq (local.get $t) (i32.const 14)) (then
   (return (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 0)
    (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 8)))))
  (if (i32.eq (local.get $t) (i32.const 15)) (then (return (call $yield))))
  ;; 20: it ends
  (if (i32.eq (local.get $t) (i32.const 20)) (then (call $exit (i32.const 3))))
  (call $len)))
